"""Common claims about activations and learning, each with a number, over eight runs of one seed.

``holds`` is the share of single runs in which a claim was seen to hold, over 64 runs of other seeds
(``python -m tests.core.training.test_claims``). A test asks for as many of its eight runs as make the chance
of failing, were the eight drawn again, less than one in a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.training.figures import Observation
from app.core.training.run import FOR_GOOD, GOALS, State, Stretch, Training
from tests.support.trainings import seen, trainings

pytestmark = pytest.mark.slow

RUNS = 8
CHANCE = 1e-3

Seen = NDArray[np.bool_]

RATE = {"learning_rate": 0.3}
ONE_BY_ONE = {"optimizer": {"learning_rate": 0.05, "batch": 1}, "steps": 2560}
FAST = {"optimizer": {"learning_rate": 3.0}}


@dataclass(frozen=True)
class Runs:
    """All runs of one activation at their end, and what they were at the start."""

    training: Training
    state: State
    first: Observation
    last: Observation

    @property
    def steps(self) -> NDArray[Any]:
        """To 99 %, ∞ where never."""
        reached = self.state.reached[GOALS.index(0.99)]
        return np.where(reached < 0, np.inf, reached)

    @property
    def dead(self) -> list[NDArray[np.bool_]]:
        """Units dead for good, by hidden layer."""
        limit = (1 - FOR_GOOD) * self.training.steps
        return [(since >= 0) & (since <= limit) for since in self.state.dead_since]

    @property
    def path(self) -> NDArray[Any]:
        """The watched weights' path over its straight distance."""
        end = self.state.values[:, self.training.watched]
        return np.asarray(self.state.path / np.linalg.norm(end - self.state.origin, axis=1))


def runs(activation: Any, seed: int, **fields: Any) -> Runs:
    """On rings: 2-16-16-16-1, 256 examples, by default full batches at rate 0.3 for 500 steps."""
    request = {"optimizer": RATE, "steps": 500, "frames": 50, **fields}
    (training,) = trainings(
        activations=[activation], seed=seed, runs=RUNS, watch={"weights": [[1, 0, 0], [1, 0, 1]]}, **request
    )
    state = Stretch(training, training.steps)(map, lambda _: None).state
    with np.errstate(all="ignore"):  # a dead layer's gradient has no logarithm
        start, end = (seen(training, values) for values in (training.learner.start(seed, RUNS), state.values))
    return Runs(training, state, start, end)


@cache
def plain(activation: str, seed: int) -> Runs:
    return runs(activation, seed)


def never_learns(activation: str) -> Callable[[int], Seen]:
    return lambda seed: plain(activation, seed).state.reached[0] < 0


def learns(activation: str, **fields: Any) -> Callable[[int], Seen]:
    return lambda seed: np.isfinite(runs(activation, seed, **fields).steps)


def sooner(first: str, second: str) -> Callable[[int], Seen]:
    return lambda seed: np.asarray(plain(first, seed).steps < plain(second, seed).steps)


def no_unit_dies(activation: Any, **fields: Any) -> Callable[[int], Seen]:
    def claim(seed: int) -> Seen:
        found = runs(activation, seed, **fields)
        return np.asarray(~np.logical_or.reduce([each.any(axis=1) for each in found.dead]))

    return claim


def a_layer_dies(activation: str) -> Callable[[int], Seen]:
    def claim(seed: int) -> Seen:
        found = runs(activation, seed, **FAST)
        return np.asarray(np.logical_or.reduce([each.all(axis=1) for each in found.dead]))

    return claim


def first_layer_gets_less(activation: str) -> Callable[[int], Seen]:
    """The first layer's gradient is less than a tenth of the head's, at the start."""

    def claim(seed: int) -> Seen:
        logarithms = plain(activation, seed).first.layers["gradient_log10_rms"]
        return np.asarray(logarithms[:, 0] < logarithms[:, -1] - 1)

    return claim


def one_sign(activation: str, figure: str) -> Callable[[int], Seen]:
    """All layers fed by the activation have weight gradients of one sign, at the end."""

    def claim(seed: int) -> Seen:
        shares = plain(activation, seed).last.layers[figure][:, 1:]
        return np.asarray((shares == 1).all(axis=1))

    return claim


def detour(activation: str, times: float) -> Callable[[int], Seen]:
    """Sample by sample, the path of a unit's weights is so many times the straight distance."""
    return lambda seed: np.asarray(runs(activation, seed, **ONE_BY_ONE).path > times)


def nearer_to_zero(first: str, second: str) -> Callable[[int], Seen]:
    """The mean output of hidden layers, its absolute value, mean over them, at the end."""

    def mean(activation: str, seed: int) -> NDArray[Any]:
        return np.asarray(np.abs(plain(activation, seed).last.layers["activation_mean"][:, :-1]).mean(axis=1))

    return lambda seed: mean(first, seed) < mean(second, seed)


def slopes_move(by: float) -> Callable[[int], Seen]:
    """PReLU's slopes end that far from 0.25 in some layer at least."""

    def claim(seed: int) -> Seen:
        found = plain("prelu", seed)
        slots = [each.params["weight"] for each in found.training.learner.slots[:-1]]
        moved = [np.abs(slot.of(found.state.values).reshape(RUNS) - 0.25) for slot in slots]
        return np.asarray(np.max(moved, axis=0) > by)

    return claim


def negated(claim: Callable[[int], Seen]) -> Callable[[int], Seen]:
    return lambda seed: ~claim(seed)


@dataclass(frozen=True)
class Claim:
    """A claim by its number in the introduction, and the share of runs in which it was seen to hold."""

    says: str
    seen: Callable[[int], Seen]
    holds: float


CLAIMS = (
    Claim("1: layers without a non-linearity learn no ring", never_learns("linear"), 1.0),
    Claim("6: the gradient vanishes through three sigmoids", first_layer_gets_less("sigmoid"), 1.0),
    Claim("14: it does not through ReLUs", negated(first_layer_gets_less("relu")), 1.0),
    Claim("8: sigmoid does not learn in 500 steps", never_learns("sigmoid"), 1.0),
    Claim("12: tanh does", learns("tanh"), 1.0),
    Claim(
        "25: sigmoid does with Adam",
        learns("sigmoid", optimizer={"kind": "adam", "learning_rate": 0.01}),
        1.0,
    ),
    Claim("9: sample by sample the signs agree", one_sign("sigmoid", "sign_agreement_sample"), 1.0),
    Claim("9: after tanh they do not", negated(one_sign("tanh", "sign_agreement_sample")), 1.0),
    Claim("9: nor in batches", negated(one_sign("sigmoid", "sign_agreement_batch")), 1.0),
    Claim("9: behind a sigmoid the path is a detour", detour("sigmoid", 3), 1.0),
    Claim("16: at a large rate a layer of ReLUs dies whole", a_layer_dies("relu"), 0.89),
    Claim("20: none of leaky ReLUs does", no_unit_dies("leaky_relu", **FAST), 1.0),
    Claim("17: ReLU learns sooner than sigmoid", sooner("relu", "sigmoid"), 1.0),
    Claim("17: but later than ELU", sooner("elu", "relu"), 0.89),
    Claim("21: PReLU learns its slope", slopes_move(0.1), 0.87),
    Claim("22: ELU's outputs are nearer to zero than ReLU's", nearer_to_zero("elu", "relu"), 0.98),
    Claim("22: ELU's units do not die", no_unit_dies("elu"), 1.0),
    Claim("24: Maxout's units do not die", no_unit_dies("maxout"), 1.0),
    Claim("24: Maxout learns sooner than ReLU", sooner("maxout", "relu"), 0.89),
)


def needed(holds: float) -> int:
    """The most of eight runs that may be asked for, were each to hold with this chance."""
    for least in range(RUNS, 0, -1):
        failing = sum(comb(RUNS, k) * holds**k * (1 - holds) ** (RUNS - k) for k in range(least))
        if failing <= CHANCE:
            return least
    return 0


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.says)
def test_claim(claim: Claim) -> None:
    least = needed(claim.holds)
    assert least >= RUNS // 4, "no claim, if so few runs can be asked for"
    assert np.count_nonzero(claim.seen(0)) >= least


def measured(seeds: Sequence[int]) -> None:
    """Prints the shares that ``holds`` was set from."""
    for claim in CLAIMS:
        seen = np.concatenate([claim.seen(seed) for seed in seeds])
        print(f"{seen.mean():.3f} of {seen.size}, {np.count_nonzero(claim.seen(0))} of 8: {claim.says}")


if __name__ == "__main__":
    measured(range(1, 9))
