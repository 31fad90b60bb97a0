"""Finding an activation by name, and fitting the caller's parameters to it.

A name is canonical (``leaky_relu``) or a framework's own behind its prefix (``torch:LeakyReLU``); the prefix
brings the framework's parameter names and defaults, which its vocabulary holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from app.core.activations.definition import Activation, Rowwise
from app.core.activations.formula import FloatArithmetic
from app.core.activations.from_formula import definitions, from_formula
from app.core.activations.parameters import Parameter
from app.core.arithmetic import Array, Value
from app.core.errors import InvalidValue, UnknownName, allowed
from app.core.formulas.reading import PREFIX
from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

MOST_AXES = 64
"""Axes that an array may have."""

Given: TypeAlias = Mapping[str, "Value | str | bool"]


Axis: TypeAlias = int | tuple[int, ...] | None
"""One axis, several to be mixed together, or PyTorch's rule: 0 for inputs of 0, 1 or 3 axes, else 1."""


@dataclass(frozen=True)
class Call:
    """An activation with all its parameters: what every computation starts from."""

    activation: Activation
    params: dict[str, Value]
    axis: Axis = -1

    @property
    def kind(self) -> tuple[str, bool]:
        """What all calls share that need the same loops: the function, and whether parameters are arrays."""
        arrays = [isinstance(value, np.ndarray) and value.ndim > 0 for value in self.params.values()]
        return self.activation.name, any(arrays)

    @property
    def scalars(self) -> dict[str, float]:
        """The parameters that are single numbers."""
        return {name: float(value) for name, value in self.params.items() if np.ndim(value) == 0}


@dataclass(frozen=True)
class Binding:
    """One signature of a framework with the entry that it computes."""

    activation: Activation
    vocabulary: Vocabulary
    name: FrameworkName

    @property
    def spellings(self) -> tuple[str, ...]:
        """The prefixed names."""
        return tuple(f"{self.vocabulary.framework}:{each}" for each in self.name.names)

    @property
    def params(self) -> dict[str, float]:
        """The entry's parameters at the framework's defaults; for one it demands, the entry's own default."""
        theirs = {each.parameter: each.default for each in self.name.arguments if each.default is not None}
        return {**self.activation.defaults, **self.name.fixed, **theirs}


class Registry(Mapping[str, Activation]):
    """All activations by canonical name, in catalogue order, and all vocabularies.

    Frozen; refuses a name given twice and a vocabulary that names an entry or parameter that does not exist.
    """

    def __init__(self, *families: tuple[Activation, ...], vocabularies: tuple[Vocabulary, ...] = ()) -> None:
        self._entries: dict[str, Activation] = {}
        for entry in (entry for family in families for entry in family):
            if entry.name in self._entries:
                raise ValueError(f"two activations are called {entry.name}")
            self._entries[entry.name] = entry
        self._vocabularies = {each.framework: each for each in vocabularies}
        if len(self._vocabularies) < len(vocabularies):
            raise ValueError("two vocabularies have the same prefix")
        self._spellings: dict[str, list[Binding]] = defaultdict(list)
        self._bindings: dict[str, list[Binding]] = {name: [] for name in self._entries}
        for vocabulary in vocabularies:
            for name in vocabulary:
                self._bind(vocabulary, name)
        self._spellings.default_factory = None
        self._definitions = definitions(self._entries.values())

    def __getitem__(self, name: str) -> Activation:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """The vocabularies by their prefix."""
        return self._vocabularies

    @property
    def framework_names(self) -> tuple[str, ...]:
        """Every prefixed name, sorted."""
        return tuple(sorted(self._spellings))

    def bindings(self, name: str) -> tuple[Binding, ...]:
        """What frameworks call the entry with this canonical name, or what a prefixed name stands for.

        Of several under one prefixed name, which a switch tells apart, the preferred one is the first.
        """
        found = self._spellings[name] if name in self._spellings else self._bindings[name]
        return tuple(found)

    def resolve(self, name: str, params: Given | None = None, axis: Axis = None) -> Call:
        """The activation called ``name``, or given as ``formula:…``, with its parameters.

        ``params`` are checked and completed by defaults.

        Raises `UnknownName` for a function or parameter that does not exist and `InvalidValue` for a
        parameter that is missing or outside its domain.
        """
        given = dict(params or {})
        if name.startswith(PREFIX):
            made, values = from_formula(name.removeprefix(PREFIX), self._definitions, given)
            return Call(made, values, -1 if axis is None else axis)
        if name in self._entries:
            entry = self._entries[name]
            return Call(entry, _complete(entry, given), -1 if axis is None else axis)
        if name not in self._spellings:
            hint = "GET /functions lists all"
            raise UnknownName("function", name, [*self, *self._spellings], loc=("function",), hint=hint)
        binding = _choose(self._spellings[name], given)
        chosen, own = binding.activation, binding.name
        axis = _framework_axis(own.axis or (None, -1), given, axis)
        return Call(chosen, _complete(chosen, _translate(own, given)), axis)

    def _bind(self, vocabulary: Vocabulary, name: FrameworkName) -> None:
        entry = self._entries.get(name.activation)
        if entry is None:
            raise ValueError(f"{vocabulary.framework} names the unknown entry {name.activation}")
        ours = {each.parameter for each in name.arguments} | name.fixed.keys()
        if unknown := ours - {each.name for each in entry.parameters}:
            raise ValueError(f"{vocabulary.framework} sets {sorted(unknown)}, unknown to {entry.name}")
        binding = Binding(entry, vocabulary, name)
        self._bindings[entry.name].append(binding)
        for spelling in binding.spellings:
            rivals = self._spellings[spelling]
            if any(rival.name.options == name.options for rival in rivals):
                raise ValueError(f"two activations are called {spelling}")
            rivals.append(binding)
            rivals.sort(key=lambda each: not each.name.preferred)


def _choose(bindings: list[Binding], given: dict[str, Value | str | bool]) -> Binding:
    """The binding whose switches match ``given``, taking the switches out of it."""
    switches = {option for binding in bindings for option in binding.name.options}
    chosen = bindings
    for switch in switches & given.keys():
        value = given.pop(switch)
        fitting = [each for each in bindings if _same(each.name.options.get(switch), value)]
        if not fitting:
            values = (repr(each.name.options[switch]) for each in bindings)
            raise InvalidValue(allowed(values), loc=("params", switch))
        chosen = fitting
    return chosen[0]


def _same(option: str | bool | None, value: object) -> bool:
    return type(option) is type(value) and option == value


def _framework_axis(
    own: tuple[str | None, int | None], given: dict[str, Value | str | bool], axis: Axis
) -> Axis:
    name, default = own
    if name is None or (value := given.pop(name, None)) is None:
        return default if axis is None else axis
    if isinstance(value, str | bool) or np.ndim(value) > 1 or not _are_axes(np.asarray(value)):
        raise InvalidValue("must be a whole number, or a list of such", loc=("params", name))
    if np.ndim(value) == 0:
        return int(float(value))
    return tuple(int(each) for each in np.asarray(value).tolist())


def _are_axes(values: Array) -> bool:
    """Whether these are whole numbers that may be axes."""
    with np.errstate(invalid="ignore"):
        return values.size <= MOST_AXES and bool(
            np.all((values == np.rint(values)) & (abs(values) <= MOST_AXES))
        )


def _translate(name: FrameworkName, given: Given) -> dict[str, Value | str | bool]:
    """The framework's parameters under our names, with the framework's defaults."""
    arguments: dict[str, Argument] = {each.name: each for each in name.arguments}
    for key in given.keys() - arguments.keys():
        raise UnknownName("parameter", key, arguments, loc=("params",))
    ours: dict[str, Value | str | bool] = dict(name.fixed)
    for argument in arguments.values():
        value = given.get(argument.name, argument.default)
        if value is None:
            raise InvalidValue(f"{argument.name} is required", loc=("params", argument.name))
        ours[argument.parameter] = value
    return ours


def _complete(entry: Activation, given: Given) -> dict[str, Value]:
    """``given`` checked against the entry's parameters, defaults filled in."""
    if given:
        known = {each.name: each for each in entry.parameters}
        for key in given.keys() - known.keys():
            raise UnknownName("parameter", key, known, loc=("params",))
    params: dict[str, Value] = {}
    for parameter in entry.parameters:
        value = given.get(parameter.name, parameter.default)
        if value is not None:
            params[parameter.name] = _checked(parameter, value, mixing=isinstance(entry, Rowwise))
        elif parameter.required:
            raise InvalidValue(f"{parameter.name} is required", loc=("params", parameter.name))
    if entry.constraints and _have_one_shape(
        params
    ):  # else the inputs' shape decides how they broadcast: see `evaluation`
        check_constraints(entry, params)
    return entry.deduce(params) if isinstance(entry, Rowwise) else params


def _checked(parameter: Parameter, value: Value | str | bool, *, mixing: bool) -> Value:
    loc = ("params", parameter.name)
    if isinstance(value, str | bool):
        raise InvalidValue(f"must be {parameter.domain}", loc=loc)
    if parameter.shape is not None and np.ndim(value) != len(parameter.shape):
        axes = " × ".join(parameter.shape)
        raise InvalidValue(f"must be an array with {len(parameter.shape)} axes ({axes})", loc=loc)
    if parameter.shape is None and mixing and not parameter.broadcasts and np.size(value) != 1:
        raise InvalidValue("must be a number", loc=loc)
    if not parameter.domain.contains(value):
        raise InvalidValue(f"must be {parameter.domain}", loc=loc)
    alone = np.ndim(value) == 0 or (parameter.shape is None and mixing and not parameter.broadcasts)
    return float(np.reshape(value, ())) if alone else value


def check_constraints(entry: Activation, params: Mapping[str, Value]) -> None:
    """Raises `InvalidValue` unless the entry's constraints hold; arrays have one shape, or one element."""
    for constraint in entry.constraints:
        if not np.all(
            constraint.evaluate(FloatArithmetic(), {name: params[name] for name in constraint.names})
        ):
            raise InvalidValue(f"{constraint.text} must hold", loc=("params",))


def _have_one_shape(params: Mapping[str, Value]) -> bool:
    """Whether the parameters correspond element by element, whatever inputs they will meet."""
    return len({np.shape(value) for value in params.values() if np.size(value) != 1}) < 2
