"""``GET /functions``: the facts in the registry, for people and programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from app.contract.catalogue import (
    Catalogue,
    FrameworkFacts,
    FunctionFacts,
    FunctionSummary,
    GainFacts,
    KinkFacts,
    ParameterFacts,
    ReferenceFacts,
    Texts,
    VocabularyFacts,
)
from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.formula import FloatArithmetic, define
from app.core.activations.parameters import Parameter
from app.core.activations.registry import Binding
from app.core.errors import UnknownName, nearest
from app.core.propagation.units import is_of_units
from app.core.theory.duals import gains
from app.core.vocabularies.vocabulary import Argument, Vocabulary
from app.http.fixed import Fixed
from app.http.media_types import JSON, negotiate
from app.http.problems import Problem, from_core, responses
from app.http.queries import StrictRoute

router = APIRouter(route_class=StrictRoute, tags=["catalogue"])


_FRAMEWORK = Query(
    max_length=100,
    description="A framework's prefix: only its names are listed.",
    json_schema_extra={"enum": list(REGISTRY.vocabularies)},
)


@router.get("/functions", summary="All functions", response_model=Catalogue, responses=responses(406, 422))
def get_functions(request: Request, framework: Annotated[str | None, _FRAMEWORK] = None) -> Response:
    """Every activation function that `POST /activate` takes, or every name of a framework, a line each."""
    negotiate(request, JSON)
    if framework is not None and framework not in REGISTRY.vocabularies:
        unknown = UnknownName("framework", framework, REGISTRY.vocabularies, loc=("framework",))
        raise from_core(unknown, "query")
    return _catalogue(framework).response(request)


NAME = Path(
    max_length=100,
    description="Canonical name, or a framework's own name after its prefix (`torch:LeakyReLU`).",
    json_schema_extra={"enum": [*REGISTRY, *REGISTRY.framework_names]},
    openapi_examples={"first": {"value": next(iter(REGISTRY))}},
)


@router.get(
    "/functions/{name}", summary="One function", response_model=FunctionFacts, responses=responses(404, 406)
)
def get_function(name: Annotated[str, NAME], request: Request) -> Response:
    """Formulas, parameters, properties, conventions at kinks, papers and framework names of one function.

    Under a framework's name the parameters and defaults are the framework's, and so are the facts.
    """
    negotiate(request, JSON)
    check_name(name)
    return _facts(name).response(request)


def check_name(name: str) -> None:
    """Raises `Problem` 404 for an unknown name."""
    if name not in REGISTRY and name not in REGISTRY.framework_names:
        near = nearest(name, [*REGISTRY, *REGISTRY.framework_names])
        advice = f"did you mean {' or '.join(near)}?" if near else "GET /functions lists all"
        raise Problem(404, f"unknown function; {advice}", code="urn:activation-lab:unknown-name")


@cache
def _catalogue(framework: str | None) -> Fixed:
    if framework is None:
        lines = [_summary(entry, entry.name) for entry in REGISTRY.values()]
        vocabularies = list(REGISTRY.vocabularies.values())
    else:
        vocabularies = [REGISTRY.vocabularies[framework]]
        lines = [
            _summary(binding.activation, spelling, binding.name.options)
            for entry in REGISTRY
            for binding in REGISTRY.bindings(entry)
            if binding.vocabulary.framework == framework
            for spelling in binding.spellings
        ]
    catalogue = Catalogue(functions=lines, frameworks=[_vocabulary(each) for each in vocabularies])
    return Fixed.of(catalogue.model_dump_json().encode(), JSON)


def _kind(entry: Activation) -> str:
    return "elementwise" if isinstance(entry, Elementwise) else "rowwise"


def _summary(
    entry: Activation, name: str, switches: Mapping[str, str | bool] | None = None
) -> FunctionSummary:
    return FunctionSummary(
        name=name,
        function=entry.name,
        switches=dict(switches or {}),
        title=_texts(entry.title),
        summary=_texts(entry.summary),
        kind=_kind(entry),
        of_units=is_of_units(REGISTRY.resolve(entry.name, {})),
        latex=entry.formulas.value.latex(entry.symbols),
        zero_centred=entry.zero_centred,
        saturates=sorted(entry.saturates),
        href=f"/functions/{quote(name, safe=':')}",
    )


@cache
def _facts(name: str) -> Fixed:
    facts = _canonical_facts(REGISTRY[name]) if name in REGISTRY else _framework_facts(name)
    facts.mathml = {latex: mathml(latex) for latex in sorted(_latex(facts))}
    return Fixed.of(facts.model_dump_json().encode(), JSON)


@cache
def mathml(latex: str) -> str:
    """The formula as MathML, for browsers."""
    from latex2mathml.converter import convert  # noqa: PLC0415  (its tables would slow down the start)

    return convert(latex)


def _latex(facts: FunctionFacts) -> set[str]:
    """All LaTeX in ``facts``."""
    return {
        *facts.latex,
        *facts.definitions,
        *facts.definitions.values(),
        *facts.constraints,
        *([] if facts.range is None else [facts.range]),
        *(each.symbol for each in facts.parameters),
        *(each.formula for each in facts.kinks),
    }


def _canonical_facts(entry: Activation) -> FunctionFacts:
    parameters = [_parameter(each) for each in entry.parameters]
    return _without_mathml(entry, entry.defaults, REGISTRY.bindings(entry.name), parameters)


def _framework_facts(name: str) -> FunctionFacts:
    """The facts at the framework's defaults, with the framework's names of parameters."""
    bindings = REGISTRY.bindings(name)
    binding = bindings[0]
    entry = binding.activation
    ours = {each.name: each for each in entry.parameters}
    parameters = [_argument(each, ours[each.parameter]) for each in binding.name.arguments]
    facts = _without_mathml(entry, binding.params, bindings, parameters)
    facts.name = name
    facts.vocabulary = _vocabulary(binding.vocabulary)
    if binding.params != entry.defaults:
        facts.range = facts.limits = facts.largest_slope = facts.zero_centred = None
        facts.monotone = facts.smoothness = facts.saturates = None
    return facts


def _without_mathml(
    entry: Activation,
    params: Mapping[str, float],
    bindings: Iterable[Binding],
    parameters: list[ParameterFacts],
) -> FunctionFacts:
    symbols = entry.symbols
    low, high = (entry.expression(part).latex(symbols) for part in entry.range[1:-1].split(","))
    negative, positive = (None if text is None else entry.number(text) for text in entry.limits)
    return FunctionFacts(
        name=entry.name,
        function=entry.name,
        vocabulary=None,
        at=dict(params),
        title=_texts(entry.title),
        summary=_texts(entry.summary),
        kind=_kind(entry),
        latex=[formula.latex(symbols) for formula in entry.formulas.orders],
        definitions={
            entry.expression(name).latex(symbols): formula.latex(symbols)
            for name, formula in entry.formulas.where.items()
        },
        parameters=parameters,
        constraints=[each.latex(symbols) for each in entry.constraints],
        range=rf"\left{entry.range[0]}{low}, {high}\right{entry.range[-1]}",
        limits=(negative, positive),
        largest_slope=entry.number(entry.largest_slope),
        zero_centred=entry.zero_centred,
        monotone=entry.monotone,
        smoothness=entry.smoothness,
        saturates=sorted(entry.saturates),
        kinks=_kinks(entry, params),
        gains=_gains(entry, params),
        references=[ReferenceFacts(**vars(each)) for each in entry.references],
        frameworks=[_framework(each) for each in bindings],
        mathml={},
    )


def _vocabulary(vocabulary: Vocabulary) -> VocabularyFacts:
    return VocabularyFacts(
        framework=vocabulary.framework,
        title=vocabulary.title,
        project=vocabulary.project,
        versions=vocabulary.versions,
        sources=list(vocabulary.sources),
        remarks=list(vocabulary.remarks),
    )


def _texts(text: tuple[str, str]) -> Texts:
    return Texts(en=text[0], ko=text[1])


def _parameter(parameter: Parameter) -> ParameterFacts:
    return ParameterFacts(
        name=parameter.name,
        symbol=parameter.symbol,
        description=_texts(parameter.description),
        domain=str(parameter.domain),
        default=parameter.default,
        required=parameter.required,
        typical=parameter.typical,
        learnable=parameter.learnable,
        shape=None if parameter.shape is None else list(parameter.shape),
    )


def _argument(argument: Argument, parameter: Parameter) -> ParameterFacts:
    """A framework's parameter: the entry's facts, with the framework's name and default."""
    theirs = {
        "name": argument.name,
        "default": argument.default,
        "required": argument.default is None,
    }
    return _parameter(parameter).model_copy(update=theirs)


def _kinks(entry: Activation, params: Mapping[str, float]) -> list[KinkFacts]:
    places = [(text, entry.number(text, params)) for text in entry.kinks]
    return [_kink(entry, params, text, place) for text, place in places if math.isfinite(place)]


def _gains(entry: Activation, params: Mapping[str, float]) -> GainFacts | None:
    if not isinstance(entry, Elementwise):
        return None
    found = gains(entry, params)
    return GainFacts(standard=found.standard, he=found.he)


def _kink(entry: Activation, params: Mapping[str, float], text: str, place: float) -> KinkFacts:
    values = define(entry.formulas.where, FloatArithmetic(), {**entry.numbers, **params, "x": place})
    _, slope, curvature = (each.evaluate(FloatArithmetic(), values) for each in entry.formulas.orders)
    return KinkFacts(
        at=place,
        formula=entry.expression(text).latex(entry.symbols),
        derivative=slope,
        second_derivative=curvature,
    )


def _framework(binding: Binding) -> FrameworkFacts:
    parameters: dict[str, Any] = {each.name: each.default for each in binding.name.arguments}
    return FrameworkFacts(
        names=list(binding.spellings), parameters=parameters, switches=dict(binding.name.options)
    )
