"""``GET /functions``: everything the registry knows, for people and programs."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

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
)
from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise
from app.core.activations.formula import FloatArithmetic, define
from app.core.activations.parameters import Parameter
from app.core.activations.registry import Binding
from app.core.errors import nearest
from app.core.theory.duals import gains
from app.http.bodies import JSON, negotiate
from app.http.fixed import Fixed
from app.http.problems import Problem, responses

router = APIRouter(tags=["catalogue"])


@router.get("/functions", summary="All functions", response_model=Catalogue, responses=responses(406))
def get_functions(request: Request) -> Response:
    """Every activation function that `POST /activate` takes, a line each."""
    negotiate(request, JSON)
    return _catalogue().response(request)


_NAME = Path(
    max_length=100,
    json_schema_extra={"enum": list(REGISTRY)},
    openapi_examples={"first": {"value": next(iter(REGISTRY))}},
)


@router.get(
    "/functions/{name}", summary="One function", response_model=FunctionFacts, responses=responses(404, 406)
)
def get_function(name: Annotated[str, _NAME], request: Request) -> Response:
    """Formulas, parameters, properties, conventions at kinks, papers and framework names of one function."""
    negotiate(request, JSON)
    if name not in REGISTRY:
        near = nearest(name, REGISTRY)
        advice = f"did you mean {' or '.join(near)}?" if near else "GET /functions lists all"
        raise Problem(404, f"unknown function; {advice}", code="urn:activation-lab:unknown-name")
    return _facts(name).response(request)


@cache
def _catalogue() -> Fixed:
    lines = Catalogue(functions=[_summary(entry) for entry in REGISTRY.values()])
    return Fixed.of(lines.model_dump_json().encode(), JSON)


def _kind(entry: Activation) -> str:
    return "elementwise" if isinstance(entry, Elementwise) else "rowwise"


def _summary(entry: Activation) -> FunctionSummary:
    return FunctionSummary(
        name=entry.name,
        title=_texts(entry.title),
        summary=_texts(entry.summary),
        kind=_kind(entry),
        latex=entry.formulas.value.latex(entry.symbols),
        zero_centred=entry.zero_centred,
        saturates=sorted(entry.saturates),
        href=f"/functions/{entry.name}",
    )


@cache
def _facts(name: str) -> Fixed:
    from latex2mathml.converter import convert  # noqa: PLC0415  (its tables are no part of starting)

    facts = _without_mathml(REGISTRY[name])
    facts.mathml = {latex: convert(latex) for latex in sorted(_latex(facts))}
    return Fixed.of(facts.model_dump_json().encode(), JSON)


def _latex(facts: FunctionFacts) -> set[str]:
    """All LaTeX in ``facts``."""
    return {
        *facts.latex,
        *facts.definitions,
        *facts.definitions.values(),
        *facts.constraints,
        facts.range,
        *(each.symbol for each in facts.parameters),
        *(each.formula for each in facts.kinks),
    }


def _without_mathml(entry: Activation) -> FunctionFacts:
    symbols = entry.symbols
    low, high = (entry.expression(part).latex(symbols) for part in entry.range[1:-1].split(","))
    negative, positive = (None if text is None else entry.number(text) for text in entry.limits)
    return FunctionFacts(
        name=entry.name,
        title=_texts(entry.title),
        summary=_texts(entry.summary),
        kind=_kind(entry),
        latex=[formula.latex(symbols) for formula in entry.formulas.orders],
        definitions={
            entry.expression(name).latex(symbols): formula.latex(symbols)
            for name, formula in entry.formulas.where.items()
        },
        parameters=[_parameter(each) for each in entry.parameters],
        constraints=[each.latex(symbols) for each in entry.constraints],
        range=rf"\left{entry.range[0]}{low}, {high}\right{entry.range[-1]}",
        limits=(negative, positive),
        largest_slope=entry.number(entry.largest_slope),
        zero_centred=entry.zero_centred,
        monotone=entry.monotone,
        smoothness=entry.smoothness,
        saturates=sorted(entry.saturates),
        kinks=_kinks(entry),
        gains=_gains(entry),
        references=[ReferenceFacts(**vars(each)) for each in entry.references],
        frameworks=[_framework(each) for each in REGISTRY.bindings(entry.name)],
        mathml={},
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


def _kinks(entry: Activation) -> list[KinkFacts]:
    places = [(text, entry.number(text)) for text in entry.kinks]
    return [_kink(entry, text, place) for text, place in places if math.isfinite(place)]


def _gains(entry: Activation) -> GainFacts | None:
    if not isinstance(entry, Elementwise):
        return None
    found = gains(entry, entry.defaults)
    return GainFacts(standard=found.standard, he=found.he)


def _kink(entry: Activation, text: str, place: float) -> KinkFacts:
    values = define(entry.formulas.where, FloatArithmetic(), {**entry.numbers, "x": place})
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
