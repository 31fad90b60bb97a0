"""Training: several runs of one activation's networks, in stretches of steps that any process can execute.

A `Training` describes the whole, a `State` is a checkpoint, a `Stretch` the job of continuing from one. A
checkpoint is complete, and the order of mini-batches has a random stream of its own for every epoch. So the
result is the same to the last bit, however a training is cut into stretches and wherever they are executed or
retried.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.evaluation import Mapper
from app.core.jobs import Progress
from app.core.propagation.statistics import Spread, spread
from app.core.propagation.streams import Stream
from app.core.training import figures
from app.core.training.data import Split
from app.core.training.figures import Grid, Histogram, Observation
from app.core.training.learner import Learner
from app.core.training.losses import Loss
from app.core.training.optimisers import Optimiser

Clock: TypeAlias = Callable[[], float]
"""Seconds since some fixed moment."""

GOALS = (0.9, 0.99)
"""Accuracies for which the first step that reaches them is reported."""

DIVERGED = 1e6
"""A run has diverged once its loss is NaN, or exceeds this many times the larger of its initial loss and the
loss of outputs that are all zero."""

FOR_GOOD = 0.1
"""A unit is dead for good when it is dead at the end and has been for this share of the steps."""

CACHE = 2**18
"""Bytes of a layer's arrays up to which runs are computed together: their operands stay in a core's cache."""

_ORDER = 1_000_000
"""The random stream of the mini-batches, beyond those of all runs."""


def no_clock() -> float:
    """A clock that times nothing."""
    return 0.0


@dataclass(frozen=True)
class Watch:
    """What is recorded besides the figures.

    ``boundary`` points along each axis, or 0; ``weights`` by layer, row and column, from 0.
    """

    boundary: int = 0
    weights: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Training:
    """``runs`` networks, trained for ``steps`` of the optimiser, with a frame at every ``every`` steps.

    ``batch`` is None for all examples at every step. Run r of a seed is the same whatever ``runs`` is.
    """

    learner: Learner
    split: Split
    loss: Loss
    optimiser: Optimiser
    steps: int
    runs: int
    seed: int
    batch: int | None = None
    every: int = 10
    watch: Watch = Watch()

    @property
    def frames(self) -> list[int]:
        """The steps at which there is a frame, the start and the end among them."""
        return [*range(0, self.steps, self.every), self.steps]

    @cached_property
    def grid(self) -> Grid | None:
        """Where the decision boundary is sampled."""
        return (
            figures.grid_around(self.split.training.inputs, self.watch.boundary)
            if self.watch.boundary
            else None
        )

    @cached_property
    def watched(self) -> NDArray[np.intp]:
        """Indices of the watched weights among a run's numbers."""
        slots = [each.weights for each in self.learner.slots]
        places = [
            slots[layer].start + row * slots[layer].shape[1] + column
            for layer, row, column in self.watch.weights
        ]
        return np.array(places, np.intp)

    @property
    def groups(self) -> list[slice]:
        """The runs, as many together as fit a cache."""
        size = self.split.training.count if self.batch is None else self.batch
        step = together(self.runs, max(layer.rows for layer in self.learner.layers), size)
        return [slice(start, min(start + step, self.runs)) for start in range(0, self.runs, step)]


def together(runs: int, rows: int, size: int) -> int:
    """How many of the ``runs`` are computed at a time, for so many ``rows`` in a layer and a batch's size."""
    return max(1, min(runs, CACHE // (8 * rows * size)))


@dataclass
class State:
    """A training's checkpoint; arrays by run. −1 stands for never.

    ``memory`` is the optimiser state, ``ceiling`` the loss above which a run has diverged. Of the watched
    weights, ``path`` is the length of their joint path, ``turns`` how often each reversed its direction, and
    ``moved`` its last step.
    """

    step: int
    values: Array
    memory: list[Array]
    origin: Array
    path: Array
    turns: NDArray[np.intp]
    moved: Array
    diverged: NDArray[np.intp]
    ceiling: Array
    reached: NDArray[np.intp]
    dead_since: list[NDArray[np.intp]]
    update: Array

    @property
    def alive(self) -> NDArray[np.bool_]:
        """The runs that have not diverged."""
        return self.diverged < 0


@dataclass(frozen=True)
class Frame:
    """What was measured at one step, over the runs that have not diverged.

    ``learned`` are the activation's parameters by hidden layer; ``boundary`` is run 0's, None where that has
    diverged or no boundary is wanted; ``weights`` the watched ones, runs × weights.
    """

    step: int
    diverged: int
    whole: Mapping[str, Spread]
    layers: Mapping[str, Spread]
    histograms: list[Histogram | None]
    learned: Sequence[Mapping[str, Spread]]
    boundary: Array | None
    weights: Array


@dataclass(frozen=True)
class Timing:
    """Seconds of each step of all runs, and nanoseconds for φ and φ′ of one number, at each frame."""

    steps: list[float] = field(default_factory=list)
    elements: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Progressed:
    """The result of a stretch."""

    state: State
    frames: list[Frame]
    timing: Timing


@dataclass(frozen=True)
class Stretch:
    """The job of training up to step ``until``, from ``state`` or from the start.

    Frames are those of the steps from the state's, included, up to ``until``, excluded but for the last.
    """

    training: Training
    until: int
    state: State | None = None
    clock: Clock = no_clock

    def __call__(self, _map_blocks: Mapper, progress: Progress) -> Progressed:
        """The new state, with the frames on the way."""
        with np.errstate(all="ignore"):  # divergence is a finding, not an error
            trainer = _Trainer(self.training, self.state, self.clock)
            return trainer.train(self.until, progress)


class _Known(NamedTuple):
    """The gradient that a frame computed, and how long that took."""

    gradient: Array
    seconds: float


class _Trainer:
    """A training in progress."""

    def __init__(self, training: Training, state: State | None, clock: Clock) -> None:
        self._training = training
        self._learner = training.learner
        self._state = _initial_state(training) if state is None else copy.deepcopy(state)
        self._clock = clock
        self._timing = Timing()
        self._frames: list[Frame] = []
        self._batches = Batches(training)
        self._groups = training.groups
        self._known: _Known | None = None

    def train(self, until: int, progress: Progress) -> Progressed:
        """Step by step."""
        training, state = self._training, self._state
        for step in range(state.step, until):
            progress(step / training.steps)
            self._known = None
            if step % training.every == 0:
                self._frames.append(self._frame(step))
            started = self._clock()
            self._step(step)
            spent = self._clock() - started
            self._timing.steps.append(spent if self._known is None else spent + self._known.seconds)
        state.step = until
        if until == training.steps:
            self._frames.append(self._frame(until))
        return Progressed(state, self._frames, self._timing)

    def _step(self, step: int) -> None:
        state, training = self._state, self._training
        if not state.alive.any():
            return
        gradient = self._gradient(step)
        before = state.values.copy() if self._measures_update(step) else None
        watched = training.watched
        places = state.values[:, watched] if watched.size else None
        training.optimiser.step(state.values, gradient, state.memory, step)
        if places is not None:
            self._follow(state.values[:, watched] - places)
        if before is not None:
            state.update = _update_to_weight(self._learner, before, state.values)

    def _gradient(self, step: int) -> Array:
        """The gradient for the step's examples; divergence and accuracy are recorded on the way."""
        state, training = self._state, self._training
        if self._known is not None:
            return self._known.gradient
        inputs, targets = self._batches.of(step)
        gradient = np.empty_like(state.values)
        for runs in self._groups:
            mine = [each if each.ndim == 2 else each[runs] for each in (inputs, targets)]
            found = self._learner.evaluate(state.values[runs], mine[0], mine[1], training.loss)
            self._mark_diverged(step, runs, found.loss)
            if training.batch is None:
                self._mark_goals(step, runs, self._accuracy(found.passed.outputs))
            gradient[runs] = found.gradients.values
        return gradient

    def _accuracy(self, outputs: Array) -> Array:
        return figures.accuracy_of(outputs, self._training.split.training, self._training.loss)

    def _measures_update(self, step: int) -> bool:
        """Whether a frame follows this step."""
        following = step + 1
        return following % self._training.every == 0 or following == self._training.steps

    def _mark_diverged(self, step: int, runs: slice, loss: Array) -> None:
        """Records the runs that have diverged."""
        lost = ~(loss <= self._state.ceiling[runs]) & self._state.alive[runs]
        self._state.diverged[runs][lost] = step

    def _mark_goals(self, step: int, runs: slice, accuracy: Array) -> None:
        """Records the runs that reach an accuracy for the first time."""
        for goal, reached in zip(GOALS, self._state.reached, strict=True):
            if not (accuracy >= goal).any():
                return
            reached[runs][(accuracy >= goal) & (reached[runs] < 0) & self._state.alive[runs]] = step

    def _follow(self, moved: Array) -> None:
        """Updates the watched weights' path and their reversals."""
        state = self._state
        state.path += np.sqrt((moved**2).sum(axis=1))
        state.turns += moved * state.moved < 0
        state.moved = np.where(moved == 0, state.moved, moved)

    def _frame(self, step: int) -> Frame:
        state, training, learner = self._state, self._training, self._learner
        seen = self._observe()
        if step == 0:
            state.ceiling = _ceiling(training, seen.loss)
        self._mark_diverged(step, slice(None), seen.loss)
        self._mark_goals(step, slice(None), seen.accuracy)
        for since, dead in zip(state.dead_since, seen.dead, strict=True):
            since[:] = np.where(dead, np.where(since < 0, step, since), -1)
        alive = state.alive
        whole = {name: getattr(seen, name) for name in figures.WHOLE}
        measured = figures.each_over(alive, {**whole, **seen.layers, "update_to_weight": state.update})
        learned = [
            {name: figures.over(alive, slot.of(state.values)) for name, slot in slots.params.items()}
            for slots in learner.slots[:-1]
        ]
        grid = training.grid
        boundary = None
        if grid is not None and alive[0]:
            boundary = figures.boundary(learner, state.values, training.split.training, training.loss, grid)
        weights = np.where(alive[:, None], state.values[:, training.watched], np.nan)
        diverged = int(np.count_nonzero(~alive))
        return Frame(
            step=step,
            diverged=diverged,
            whole={name: measured[name] for name in figures.WHOLE},
            layers={name: measured[name] for name in figures.LAYERS},
            histograms=figures.histograms(seen.outputs, alive),
            learned=learned,
            boundary=boundary,
            weights=weights,
        )

    def _observe(self) -> Observation:
        """Figures on all training examples; their gradient is kept for a full-batch step."""
        training, state = self._training, self._state
        examples, held_out = training.split
        parts, seconds = [], 0.0
        for runs in self._groups:
            values = state.values[runs]
            started = self._clock()
            found = self._learner.evaluate(values, examples.inputs, examples.targets, training.loss)
            seconds += self._clock() - started
            parts.append(figures.observe(self._learner, values, found, examples, held_out, training.loss))
        self._time_elements(parts[0], state.values[self._groups[0]])
        seen = figures.joined(parts)
        if training.batch is None:
            self._known = _Known(seen.gradient, seconds)
        return seen

    def _time_elements(self, seen: Observation, values: Array) -> None:
        """How long φ and φ′ of the first hidden layer take, for one number."""
        if seen.argument is not None:
            started = self._clock()
            self._learner.respond(0, seen.argument, values)
            self._timing.elements.append((self._clock() - started) / seen.argument.size * 1e9)


class Batches:
    """Which examples each run is trained on, step by step: all, or mini-batches in a new order each epoch."""

    def __init__(self, training: Training) -> None:
        self._examples = training.split.training
        self._size = training.batch
        self._stream = Stream(training.seed, (_ORDER,))
        self._runs = training.runs
        self._epoch = -1
        self._orders = np.empty((0, 0), np.intp)
        self._inputs = np.ascontiguousarray(self._examples.inputs.T)
        self._targets = np.ascontiguousarray(self._examples.targets.T)

    def of(self, step: int) -> tuple[Array, Array]:
        """Inputs and targets, for all runs, or with a leading axis of runs."""
        if self._size is None:
            return self._examples.inputs, self._examples.targets
        epoch, place = divmod(step, -(-self._examples.count // self._size))
        if epoch != self._epoch:
            self._epoch, self._orders = epoch, self._shuffled(epoch)
        chosen = self._orders[:, place * self._size : (place + 1) * self._size]
        return self._inputs[chosen].swapaxes(1, 2), self._targets[chosen].swapaxes(1, 2)

    def _shuffled(self, epoch: int) -> NDArray[np.intp]:
        orders = [
            self._stream.at(run, epoch).generator().permutation(self._examples.count)
            for run in range(self._runs)
        ]
        return np.stack(orders)


def _initial_state(training: Training) -> State:
    runs, learner = training.runs, training.learner
    values = learner.start(training.seed, runs)
    origin = values[:, training.watched].copy()
    return State(
        step=0,
        values=values,
        memory=[np.zeros_like(values) for _ in range(training.optimiser.memories)],
        origin=origin,
        path=np.zeros(runs),
        turns=np.zeros(origin.shape, np.intp),
        moved=np.zeros_like(origin),
        diverged=np.full(runs, -1),
        ceiling=np.full(runs, np.inf),
        reached=np.full((len(GOALS), runs), -1),
        dead_since=[np.full((runs, layer.units), -1) for layer in learner.layers[:-1]],
        update=np.full((runs, len(learner.layers)), np.nan),
    )


def _ceiling(training: Training, loss: Array) -> Array:
    """The loss above which a run has diverged."""
    targets = training.split.training.targets
    nothing = training.loss(np.zeros((1, *targets.shape)), targets).loss
    return np.asarray(DIVERGED * np.maximum(loss, nothing))


def _update_to_weight(learner: Learner, before: Array, after: Array) -> Array:
    """‖ΔW‖ / ‖W‖ by run and layer; NaN where W is 0."""
    ratios = []
    for slots in learner.slots:
        old, new = (slots.weights.of(each).reshape(len(before), -1) for each in (before, after))
        ratios.append(np.linalg.norm(new - old, axis=1) / np.linalg.norm(old, axis=1))
    return np.stack(ratios, axis=1)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training, over the runs that have not diverged; a goal never reached counts as ∞.

    Attributes:
        last: the last frame.
        diverged: for each run that has, its number and the step.
        steps_to: by goal the first step at which the accuracy was reached, and by how many runs it was;
            checked at every step with full batches, at every frame with mini-batches.
        dead_for_good: by hidden layer the units dead at the end and for the last tenth of the steps at least.
        dead_units: the same over all layers.
        path: by run the watched weights' path over the straight distance from start to end; NaN where they
            never moved.
        turns: how often a watched weight reversed its direction, mean over them.
        step_seconds: of one step of all runs together, over the steps.
        element_nanoseconds: for φ and φ′ of one number, over the frames.
    """

    last: Frame
    diverged: list[tuple[int, int]]
    steps_to: Mapping[float, tuple[Spread, int]]
    dead_for_good: list[Spread]
    dead_units: Spread
    path: Spread | None
    turns: Spread | None
    step_seconds: Spread
    element_nanoseconds: Spread


def outcome(training: Training, state: State, last: Frame, timing: Timing) -> Outcome:
    """The outcome, from the state at the last step."""
    with np.errstate(all="ignore"):  # infinite: never reached
        return _outcome(training, state, last, timing)


def _outcome(training: Training, state: State, last: Frame, timing: Timing) -> Outcome:
    alive = state.alive
    for_good = [(since >= 0) & (since <= (1 - FOR_GOOD) * training.steps) for since in state.dead_since]
    by_layer = [each.sum(axis=1).astype(np.float64) for each in for_good]
    watched = bool(training.watch.weights)
    distance = np.linalg.norm(state.values[:, training.watched] - state.origin, axis=1)
    path = state.path / distance
    return Outcome(
        last=last,
        diverged=[(int(run), int(state.diverged[run])) for run in np.flatnonzero(~alive)],
        steps_to={goal: _steps_to(row, alive) for goal, row in zip(GOALS, state.reached, strict=True)},
        dead_for_good=[figures.over(alive, each) for each in by_layer],
        dead_units=figures.over(alive, np.sum([np.zeros(training.runs), *by_layer], axis=0)),
        path=figures.over(alive & np.isfinite(path), path) if watched else None,
        turns=figures.over(alive, state.turns.mean(axis=1)) if watched else None,
        step_seconds=_spread_of(timing.steps),
        element_nanoseconds=_spread_of(timing.elements),
    )


def _steps_to(reached: NDArray[np.intp], alive: NDArray[np.bool_]) -> tuple[Spread, int]:
    steps = np.where(reached >= 0, reached, math.inf)
    return figures.over(alive, steps), int(np.count_nonzero(alive & (reached >= 0)))


def _spread_of(samples: list[float]) -> Spread:
    return spread(np.array(samples)) if samples else Spread(*(np.array(np.nan) for _ in range(3)))
