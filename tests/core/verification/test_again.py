"""Judging again: the suspects' values are cached for the next kernel of the same function.

The number of formulas evaluated is tested, not the time, which depends on the machine's load.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.arithmetic.rounding import Rounding
from app.core.formulas.stepwise import stepwise
from app.core.jobs import ignore
from app.core.verification.evidence import Evidence
from app.core.verification.exact import doubles, every_number, exact_orders
from app.core.verification.job import Report, Verification
from app.core.verification.judgement import spacing
from app.core.verification.suspects import insides, tables
from tests.core.verification.planted_public import pieces

BFLOAT16 = FORMATS["bfloat16"]
ORDERS = 3

MOST_FITS, MOST_STEPS = 60, 30
"""Per order: suspects compared with thousands of values, formulas evaluated step by step."""


MOST_OF_FEW = 300
"""Of all orders, where few answers are wrong: of some 1,800 suspects those with noise, and a few."""


def numbers() -> Array:
    found = every_number(BFLOAT16)
    assert found is not None
    return found


def held(values: Array) -> Array:
    with np.errstate(all="ignore"):
        return doubles(round_to(values, BFLOAT16))


def by_noise(ulps: float) -> Callable[[Call, int], list[Array]]:
    def kernels(call: Call, seed: int) -> list[Array]:
        chance = np.random.default_rng(seed)
        exact = exact_orders(call, numbers(), ORDERS, Rounding(BFLOAT16))
        return [
            held(each.value + spacing(each, BFLOAT16) * chance.uniform(-ulps, ulps, each.value.size))
            for each in exact
        ]

    return kernels


def by_chance(_: Call, seed: int) -> list[Array]:
    chance = np.random.default_rng(seed)
    return [doubles(np.frombuffer(chance.bytes(2 * numbers().size), BFLOAT16)) for _ in range(ORDERS)]


def another(_: Call, seed: int) -> list[Array]:
    """An unrelated function with random last digits."""
    x, chance = numbers(), np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        values = [np.sign(x) * np.log1p(np.abs(x)), 1 / (1 + np.abs(x)), -np.sign(x) / (1 + np.abs(x)) ** 2]
        return [held(each * (1 + 2.0**-9 * chance.uniform(-1, 1, x.size))) for each in values]


KINDS: dict[str, Callable[[Call, int], list[Array]]] = {
    "noise of 1 ulp": by_noise(1),
    "noise of 2 ulp": by_noise(2),
    "noise of 10 ulp": by_noise(10),
    "noise of 1,000 ulp": by_noise(1000),
    "chance": by_chance,
    "another function": another,
}


def shifted(call: Call, seed: int) -> list[Array]:
    """The right answers plus a number that is another for each seed."""
    return [
        held(each.value + 0.01 * seed) for each in exact_orders(call, numbers(), ORDERS, Rounding(BFLOAT16))
    ]


def by_lines(call: Call, seed: int) -> list[Array]:
    """Straight lines between evenly spaced knots."""
    knots = np.linspace(-8, 8, 32 * seed + 1)
    inside = np.clip(np.nan_to_num(numbers()), -8, 8)
    values = exact_orders(call, knots, ORDERS, Rounding(np.dtype(np.float64)))
    return [held(np.interp(inside, knots, each.rounded)) for each in values]


def by_cubics(call: Call, seed: int) -> list[Array]:
    """Eight cubics through the right answers, between clamps."""
    inside = np.clip(np.nan_to_num(numbers()), -3.0 - seed, 3.0 + seed)

    def answers(order: int) -> Array:
        def exact(x: Array) -> Array:
            points, places = np.unique(x, return_inverse=True)
            orders = exact_orders(call, points, ORDERS, Rounding(np.dtype(np.float64)))
            return orders[order].rounded[places].reshape(x.shape)

        return pieces(exact, -3.0 - seed, 3.0 + seed, 8, 3)(inside)

    return [held(answers(order)) for order in range(ORDERS)]


FAULTS = {"shifted": shifted, "lines": by_lines, "cubics": by_cubics}


def judge(call: Call, outputs: list[Array]) -> Report:
    return Verification(call, BFLOAT16, numbers(), tuple(outputs))(map, ignore)


@pytest.mark.parametrize("kind", [*KINDS, *FAULTS])
def test_little_is_computed_again(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, kernels = REGISTRY.resolve("silu", {}), {**KINDS, **FAULTS}[kind]
    judge(call, kernels(call, 1))
    counted = {"fit": 0, "steps": 0}
    fit = Evidence.fit

    def fits(*arguments: Any) -> Any:
        counted["fit"] += 1
        return fit(*arguments)

    def steps(*arguments: Any) -> Any:
        counted["steps"] += 1
        return stepwise(*arguments)

    monkeypatch.setattr(Evidence, "fit", fits)
    monkeypatch.setattr(insides, "stepwise", steps)
    report = judge(call, kernels(call, 2))
    assert report.verdict.state == "faulty"
    assert counted["fit"] <= ORDERS * MOST_FITS, counted
    assert counted["steps"] <= ORDERS * MOST_STEPS, counted


def test_few_errors_are_compared_with_few_suspects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slopes rounded to float16 are wrong in some hundred places, where none of the probes may lie."""
    call, counted = REGISTRY.resolve("gelu_tanh", {}), [0]
    with np.errstate(all="ignore"):
        short = [
            held(doubles(round_to(each.value, FORMATS["float16"])))
            for each in exact_orders(call, numbers(), ORDERS, Rounding(BFLOAT16))
        ]
    fit = Evidence.fit

    def fits(*arguments: Any) -> Any:
        counted[0] += 1
        return fit(*arguments)

    monkeypatch.setattr(Evidence, "fit", fits)
    judge(call, short)
    assert counted[0] <= MOST_OF_FEW, counted


def test_a_stretch_is_searched_for_pieces_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many causes are looked for, one after the other."""
    call, counted = REGISTRY.resolve("gelu_tanh", {}), dict.fromkeys(range(ORDERS), 0)
    search = tables._tables

    def counts(seen: Evidence, *arguments: Any) -> Any:
        counted[seen.order] += 1
        return search(seen, *arguments)

    monkeypatch.setattr(tables, "_tables", counts)
    judge(call, by_cubics(call, 1))
    assert counted[0] == 1
    assert max(counted.values()) == 1


@pytest.mark.parametrize(("function", "seed"), [("gelu_tanh", 1), ("silu", 3)])
def test_cubics_are_no_approximation_of_an_elementary_function(function: str, seed: int) -> None:
    """Smooth errors of that size are met by many approximations, but not their digits."""
    call = REGISTRY.resolve(function, {})
    causes = judge(call, by_cubics(call, seed)).causes
    assert causes
    assert "approximation" not in {each.cause for each in causes}


@pytest.mark.parametrize("kind", [each for each in KINDS if each != "another function"])
def test_noise_has_no_cause(kind: str) -> None:
    call = REGISTRY.resolve("silu", {})
    causes = judge(call, KINDS[kind](call, 3)).causes
    assert {each.cause for each in causes} <= {"unrelated"}


def test_what_is_kept_does_not_change_the_answer() -> None:
    """A kernel with a cause, judged before and after others of the same function."""
    call = REGISTRY.resolve("silu", {})
    x = numbers()
    with np.errstate(all="ignore"):
        careless = held((x.astype(np.float32) / (1 + np.exp(-x.astype(np.float32)))).astype(float))
    right = [each.rounded for each in exact_orders(call, x, ORDERS, Rounding(BFLOAT16))]
    first = judge(call, [careless, *right[1:]])
    judge(call, by_chance(call, 4))
    judge(call, by_noise(2)(call, 4))
    assert repr(judge(call, [careless, *right[1:]])) == repr(first)
    assert first.causes


def test_the_neighbours_of_zero_are_faithful() -> None:
    """bfloat16: half of the smallest number may become 0 or that number, whichever way it is rounded."""
    smallest = 2.0**-133
    x = np.array([smallest, smallest])
    report = Verification(REGISTRY.resolve("silu", {}), BFLOAT16, x, (np.array([0.0, smallest]), None, None))(
        map, ignore
    )
    assert report.verdict.state == "faithful"
