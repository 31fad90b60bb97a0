"""Which function computes these numbers? A search of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.registry import Binding, Call, check_constraints
from app.core.arithmetic import Array
from app.core.errors import ActivationLabError
from app.core.verification.evidence import FAR, Base, Evidence
from app.core.verification.exact import Exact
from app.core.verification.judgement import spacing
from app.core.verification.suspects.formulas import fitted, settings
from app.core.verification.suspects.insides import exactly, mantissa_bits

SHOWN = 5
"""The number of candidates in an answer."""

FITTED = 40
"""The number of functions whose parameters are fitted: those nearest at their usual parameters."""

NEAR = 0.125
"""The largest relative difference between a number and a candidate's value at which they count as near."""

MOST = 0.6
"""The share of the numbers that must be near."""

STEPS = (0.125, 0.25, 0.5, 2.0, 4.0, 8.0)
"""Multiples of the usual parameters, from which the search also starts."""

POINTS = 4000
"""The number of inputs at which a candidate is tried."""


@dataclass(frozen=True)
class Candidate:
    """A function with its parameters, and how far the numbers are from it.

    ``frameworks`` are its names in frameworks. ``equal`` is the share of numbers that are its correctly
    rounded values. ``apart`` is its largest difference from the first candidate in ulp, ``differs`` the
    share of inputs for which the two round to different numbers.
    """

    function: str
    params: Mapping[str, float]
    frameworks: tuple[str, ...]
    max_ulp: float
    mean_ulp: float
    equal: float
    apart: float
    differs: float


@dataclass(frozen=True)
class _Tried:
    name: str
    params: Mapping[str, float]
    values: Array
    off: Array
    near: bool
    most_bits: int

    @cached_property
    def bits(self) -> float:
        """The mean error in bits; no number counts for more bits than it has."""
        return float(np.minimum(np.log2(1 + np.maximum(self.off - 0.5, 0)), self.most_bits).mean())


def candidates(x: Array, output: Array, dtype: np.dtype[Any]) -> tuple[Candidate, ...]:
    """The nearest functions, best first; empty where none is near."""
    places = np.flatnonzero(np.isfinite(x))
    if not places.size or (output[places] == output[places[0]]).all() or np.isnan(output[places]).all():
        return ()
    if places.size > POINTS:
        places = places[np.linspace(0, places.size - 1, POINTS).astype(np.intp)]
    x, output = x[places], output[places]
    order = np.argsort(x, kind="stable")
    x, output = x[order], output[order]
    tried = sorted(_usual(x, output, dtype), key=lambda each: each.bits)
    nearest = list(dict.fromkeys(each.name for each in tried))[:FITTED]
    starts = [next(each for each in tried if each.name == name) for name in nearest]
    tried += [found for start in starts for found in _fitted(start, x, output, dtype)]
    tried.sort(key=lambda each: (round(each.bits, 3), len(each.params)))
    kept = [each for each in _distinct(tried) if each.near][:SHOWN]
    return tuple(_candidate(each, kept[0], x, dtype) for each in kept)


def _distinct(tried: list[_Tried]) -> Iterator[_Tried]:
    """The first of each function."""
    seen = set()
    for each in tried:
        if each.name not in seen:
            seen.add(each.name)
            yield each


def _usual(x: Array, output: Array, dtype: np.dtype[Any]) -> Iterator[_Tried]:
    for name, params in settings(0):
        yield _try(name, params, x, output, dtype)
        for key, value in params.items():
            for step in STEPS:
                if _allowed(name, changed := {**params, key: value * step}):
                    yield _try(name, changed, x, output, dtype)


def _try(name: str, params: Mapping[str, float], x: Array, output: Array, dtype: np.dtype[Any]) -> _Tried:
    seen = _evidence(REGISTRY.resolve(name, params), x, output, dtype)
    with np.errstate(invalid="ignore"):
        near = (np.abs(output - seen.exact) <= NEAR * np.abs(seen.exact)) | (output == seen.right)
    varies = bool((seen.right != seen.right[0]).any())
    off, bits = seen.off(seen.right), mantissa_bits(dtype) + 2
    return _Tried(name, params, seen.exact, off, varies and bool(near.mean() >= MOST), bits)


def _evidence(call: Call, x: Array, output: Array, dtype: np.dtype[Any]) -> Evidence:
    """Errors against the formula in double precision."""
    nothing: Array = np.zeros_like(x)
    none = np.zeros(x.shape, bool)
    blank = Evidence(call, 0, dtype, x, output, nothing, nothing, nothing, none, none, 0.0)
    values = exactly(blank.base, x)
    right = blank.rounded(values)
    unit = spacing(Exact(values, nothing, nothing, right, ~none), dtype)
    smallest = float(ml_dtypes.finfo(dtype).smallest_normal)  # type: ignore[no-untyped-call]
    seen = replace(blank, exact=values, right=right, unit=unit, smallest_normal=smallest)
    return replace(seen, faithful=seen.off(values) <= 1, correct=seen.off(right) == 0)


def _fitted(start: _Tried, x: Array, output: Array, dtype: np.dtype[Any]) -> Iterator[_Tried]:
    """The same function with its parameters fitted one after the other, twice."""
    params = dict(start.params)
    for _ in range(2):
        for name in start.params:
            call = REGISTRY.resolve(start.name, params)
            seen = _evidence(call, x, output, dtype)
            if not seen.wrong.any():
                return
            found = fitted(seen, Base(seen.base.tree, params), name)
            if found is None or not _allowed(start.name, {**params, name: found}):
                continue
            tried = _try(start.name, {**params, name: found}, x, output, dtype)
            if tried.bits < _try(start.name, params, x, output, dtype).bits:
                params[name] = found
                yield tried


def _allowed(name: str, params: Mapping[str, float]) -> bool:
    entry = REGISTRY[name]
    assert isinstance(entry, Elementwise)
    try:
        check_constraints(entry, REGISTRY.resolve(name, params).params)
    except ActivationLabError:
        return False
    return True


def _candidate(tried: _Tried, first: _Tried, x: Array, dtype: np.dtype[Any]) -> Candidate:
    finite = tried.off[tried.off < FAR]
    call = REGISTRY.resolve(tried.name, tried.params)
    other = _evidence(call, x, first.values, dtype)
    apart = other.off(other.exact)
    differs = other.rounded(first.values) != other.right
    names = tuple(
        f"{spelling}{_switches(binding)}"
        for binding in REGISTRY.bindings(tried.name)
        if _same(binding.params, tried.params)
        for spelling in binding.spellings
    )
    return Candidate(
        function=tried.name,
        params=dict(tried.params),
        frameworks=names,
        max_ulp=float("inf") if finite.size < tried.off.size else float(tried.off.max(initial=0.0)),
        mean_ulp=float(finite.mean()) if finite.size else 0.0,
        equal=float((tried.off == 0).mean()),
        apart=float(apart.max(initial=0.0)),
        differs=float(differs.mean()),
    )


def _switches(binding: Binding) -> str:
    """The arguments that the name needs, such as ``(approximate=tanh)``."""
    if binding.name.preferred or not binding.name.options:
        return ""
    return f"({', '.join(f'{key}={value}' for key, value in binding.name.options.items())})"


def _same(some: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return some.keys() == others.keys() and all(
        abs(value - others[name]) <= 1e-6 * abs(value) for name, value in some.items()
    )
