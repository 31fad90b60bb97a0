"""Finding an activation by name: canonical names, framework names, switches, axes, near misses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.parameters import Parameter
from app.core.activations.registry import Registry
from app.core.errors import InvalidValue, UnknownName, nearest
from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

SPELLINGS = [
    (spelling, binding.activation, binding.name)
    for entry in REGISTRY
    for binding in REGISTRY.bindings(entry)
    for spelling in binding.spellings
]
SWITCHED = [each for each in SPELLINGS if each[2].options]
NAMED_AXES = [each for each in SPELLINGS if each[2].axis is not None and each[2].axis[0] is not None]
FIXED_AXES = [each for each in SPELLINGS if each[2].axis is not None and each[2].axis[0] is None]
assert SPELLINGS
assert SWITCHED
assert NAMED_AXES
assert FIXED_AXES


def over(cases: list[tuple[str, Activation, FrameworkName]]) -> pytest.MarkDecorator:
    names = [f"{spelling}-{entry.name}" for spelling, entry, _ in cases]
    return pytest.mark.parametrize(("spelling", "entry", "name"), cases, ids=names)


def first_elementwise() -> Elementwise:
    return next(entry for entry in REGISTRY.values() if isinstance(entry, Elementwise))


def made_up(name: str, *parameters: Parameter) -> Elementwise:
    entry = replace(first_elementwise(), name=name, parameters=parameters)
    assert isinstance(entry, Elementwise)
    return entry


def vocabulary(*names: FrameworkName) -> Vocabulary:
    return Vocabulary(
        framework="choir", title="Choir", project="none", versions="1", sources=("score",), names=names
    )


def arguments(name: FrameworkName) -> dict[str, float]:
    """The framework's own parameters, at its defaults or at 1 where it has none."""
    return {each.name: 1.0 if each.default is None else each.default for each in name.arguments}


# The registry itself


def test_canonical_names() -> None:
    assert len(REGISTRY) == len(list(REGISTRY)) > 0
    for name, entry in REGISTRY.items():
        assert entry.name == name
        assert name == name.lower()
        assert name.isidentifier()
        assert name in REGISTRY


def test_two_entries_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two activations are called hum"):
        Registry((made_up("hum"),), (made_up("hum"),))


def test_one_framework_name_for_two_entries_is_refused() -> None:
    choir = vocabulary(FrameworkName("one", ("Hum", "hum")), FrameworkName("two", ("hum",)))
    with pytest.raises(ValueError, match="two activations are called choir:hum"):
        Registry((made_up("one"), made_up("two")), vocabularies=(choir,))


def test_one_prefix_for_two_vocabularies_is_refused() -> None:
    with pytest.raises(ValueError, match="two vocabularies have the same prefix"):
        Registry(vocabularies=(vocabulary(), vocabulary()))


def test_a_vocabulary_that_names_an_unknown_entry_or_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match="names the unknown entry whistle"):
        Registry((made_up("hum"),), vocabularies=(vocabulary(FrameworkName("whistle", ("hum",))),))
    for name in (
        FrameworkName("hum", ("hum",), (Argument("pitch", 1.0),)),
        FrameworkName("hum", ("hum",), fixed={"pitch": 1.0}),
    ):
        with pytest.raises(ValueError, match="pitch"):
            Registry((made_up("hum"),), vocabularies=(vocabulary(name),))


def test_one_framework_name_with_a_switch_is_shared() -> None:
    choir = vocabulary(
        FrameworkName("one", ("hum",), options={"pitch": "high"}, preferred=False),
        FrameworkName("two", ("hum",), options={"pitch": "low"}),
    )
    registry = Registry((made_up("one"), made_up("two")), vocabularies=(choir,))
    assert registry.resolve("choir:hum").activation.name == "two"
    assert registry.resolve("choir:hum", {"pitch": "high"}).activation.name == "one"
    assert [each.activation.name for each in registry.bindings("choir:hum")] == ["two", "one"]
    with pytest.raises(InvalidValue, match="allowed: 'high', 'low'"):
        registry.resolve("choir:hum", {"pitch": "shrill"})


def test_a_required_parameter_is_demanded() -> None:
    pitch = Parameter(name="pitch", symbol="p", description=("pitch", "음높이"), required=True)
    registry = Registry((made_up("hum", pitch),))
    assert registry.resolve("hum", {"pitch": 2}).params == {"pitch": 2.0}
    with pytest.raises(InvalidValue, match="pitch is required") as caught:
        registry.resolve("hum")
    assert caught.value.loc == ("params", "pitch")


def test_two_parameters_with_one_name_are_refused() -> None:
    pitch = Parameter(name="pitch", symbol="p", description=("pitch", "음높이"), default=1.0)
    with pytest.raises(ValueError, match="share a name"):
        made_up("hum", pitch, pitch)


def test_entries_are_frozen() -> None:
    with pytest.raises(AttributeError):
        first_elementwise().name = "other"  # type: ignore[misc]
    assert not hasattr(REGISTRY, "__setitem__")


# Resolving


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=lambda entry: entry.name)
def test_a_canonical_name_brings_the_defaults(entry: Activation) -> None:
    call = REGISTRY.resolve(entry.name)
    assert call.activation is entry
    assert call.axis == -1
    # Parameters that depend on each other may be deduced beyond the defaults.
    assert entry.defaults.items() <= call.params.items()
    assert call.params == entry.defaults or not isinstance(entry, Elementwise)
    assert REGISTRY.resolve(entry.name, axis=0).axis == 0
    for name, default in entry.defaults.items():
        assert REGISTRY.resolve(entry.name, {name: default}).params == call.params


@over(SPELLINGS)
def test_a_framework_name_brings_its_own_parameters(
    spelling: str, entry: Activation, name: FrameworkName
) -> None:
    given: dict[str, Any] = {**arguments(name), **name.options}
    call = REGISTRY.resolve(spelling, given)
    assert call.activation is entry
    ours = {each.parameter: arguments(name)[each.name] for each in name.arguments}
    for parameter, value in {**ours, **name.fixed}.items():
        assert call.params[parameter] == value
    assert {each.parameter for each in name.arguments} <= {each.name for each in entry.parameters}
    assert name.fixed.keys() <= {each.name for each in entry.parameters}
    assert set(name.own_parameters) >= arguments(name).keys() | name.options.keys()


@over(SPELLINGS)
def test_defaults_of_the_framework(spelling: str, entry: Activation, name: FrameworkName) -> None:
    demanded = {each.name: 1.0 for each in name.arguments if each.default is None}
    call = REGISTRY.resolve(spelling, {**demanded, **name.options})
    for each in name.arguments:
        expected = 1.0 if each.default is None else each.default
        assert call.params[each.parameter] == expected
    assert call.activation is entry


@over(SPELLINGS)
def test_canonical_parameter_names_are_unknown_under_a_framework_name(
    spelling: str, entry: Activation, name: FrameworkName
) -> None:
    for parameter in entry.parameters:
        if parameter.name in name.own_parameters:
            continue
        with pytest.raises(UnknownName):
            REGISTRY.resolve(spelling, {**arguments(name), **name.options, parameter.name: 1.0})


@over(SWITCHED)
def test_a_switch_chooses_among_entries(spelling: str, entry: Activation, name: FrameworkName) -> None:
    assert REGISTRY.resolve(spelling, dict(name.options)).activation is entry
    rivals = [other for same, other, _ in SWITCHED if same == spelling]
    preferred = [rival for same, rival, binding in SWITCHED if same == spelling and binding.preferred]
    assert len(rivals) > 1
    assert len(preferred) == 1
    assert REGISTRY.resolve(spelling).activation is preferred[0]
    for switch in name.options:
        for wrong in ("no such value", 1.0, None):
            with pytest.raises(InvalidValue, match="allowed: ") as caught:
                REGISTRY.resolve(spelling, {switch: wrong})  # type: ignore[dict-item]
            assert caught.value.loc == ("params", switch)


@over(NAMED_AXES)
def test_an_axis_under_the_frameworks_name(spelling: str, entry: Activation, name: FrameworkName) -> None:
    assert name.axis is not None
    own, default = name.axis
    assert own is not None
    given: dict[str, Any] = {**arguments(name), **name.options}
    assert REGISTRY.resolve(spelling, given).axis == default
    assert REGISTRY.resolve(spelling, {**given, own: -2}).axis == -2
    assert REGISTRY.resolve(spelling, {**given, own: 1.0}).axis == 1
    assert REGISTRY.resolve(spelling, given, axis=0).axis == 0
    assert REGISTRY.resolve(spelling, given).activation is entry
    for wrong in (0.5, "0", True, np.array([0, 0.5]), np.array([[0, 1]])):
        with pytest.raises(InvalidValue, match="whole number") as caught:
            REGISTRY.resolve(spelling, {**given, own: wrong})
        assert caught.value.loc == ("params", own)


@over(FIXED_AXES)
def test_an_axis_the_framework_does_not_name(spelling: str, entry: Activation, name: FrameworkName) -> None:
    assert name.axis is not None
    call = REGISTRY.resolve(spelling, {**arguments(name), **name.options})
    assert (call.activation, call.axis) == (entry, name.axis[1])
    assert REGISTRY.resolve(spelling, {**arguments(name), **name.options}, axis=0).axis == 0


def test_prefixed_names_are_listed() -> None:
    listed = REGISTRY.framework_names
    assert list(listed) == sorted(set(listed))
    assert set(listed) == {spelling for spelling, _, _ in SPELLINGS}


# Near misses


def folded(text: str) -> str:
    return text.casefold().replace("_", "")


@pytest.mark.parametrize("name", [*REGISTRY, *REGISTRY.framework_names])
def test_a_misspelt_name_is_suggested(name: str) -> None:
    misspelt = name + "q"
    with pytest.raises(UnknownName, match="did you mean ") as caught:
        REGISTRY.resolve(misspelt)
    # Spellings that differ in case and underscores alone stand for each other.
    assert folded(name) in folded(caught.value.message)
    assert misspelt not in caught.value.message
    assert caught.value.loc == ("function",)


@pytest.mark.parametrize("name", ["", "zzzzzzzzzz", "한글", "torch:", "x" * 100_000, "__class__"])
def test_a_name_without_near_misses_gets_a_short_error(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        REGISTRY.resolve(name)
    assert len(caught.value.message) < 300


def test_nearest_ignores_case_and_underscores_and_puts_the_best_first() -> None:
    known = ["leaky_relu", "relu", "relu6", "tanh"]
    assert nearest("LeakyReLU", known)[0] == "leaky_relu"
    assert nearest("Relu", known)[0] == "relu"
    assert nearest("zzz", known) == []
    assert len(nearest("relu", ["relua", "relub", "reluc", "relud"])) == 3


def test_arguments_translate_to_our_names() -> None:
    pitch = Parameter(name="pitch", symbol="p", description=("pitch", "음높이"), default=1.0)
    choir = vocabulary(FrameworkName("hum", ("Hum",), (Argument("alpha", 3.0, of="pitch"),)))
    registry = Registry((made_up("hum", pitch),), vocabularies=(choir,))
    assert registry.resolve("choir:Hum").params == {"pitch": 3.0}
    assert registry.resolve("choir:Hum", {"alpha": 5}).params == {"pitch": 5.0}
    with pytest.raises(UnknownName, match="alpha"):
        registry.resolve("choir:Hum", {"pitch": 5})
