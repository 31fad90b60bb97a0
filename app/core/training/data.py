"""Data sets: drawn from a seed, the handwritten digits, or the caller's own numbers.

| kind | inputs | classes |
|---|---|---|
| rings | circles of radius 1/2 and 1 around 0 | inner, outer |
| moons | two interleaved half circles of radius 1, centred and halved | upper, lower |
| spirals | two arms of 1 3/4 turns from radius 0.1 to 1, each the other's mirror image | by arm |
| blobs | normal clouds around points on the unit circle | by point |
| xor | uniform on the square [−1, 1]² | x₁x₂ > 0 |
| line | x uniform on [−1, 1] | 1 with probability σ(x/noise): logistic regression's own assumption |
| digits | 1,797 images of 64 pixels, standardised over all pixels together (DIGITS.md) | digit |

Points are drawn from the classes in turn, so that these are balanced, except for ``line``, whose labels are
drawn. ``noise`` is the standard deviation of the normal noise on every coordinate, in ``line`` the scale of
the logistic noise on the label.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.core.arithmetic import Array
from app.core.errors import InvalidValue, UnknownName
from app.core.propagation.streams import Stream

MOST_CLASSES = 100

BLOBS = 3
"""Clouds, unless the caller says otherwise."""

NOISE = 0.1

COUNT = 256

_SPREAD_OF_BLOBS = 0.2
"""Standard deviation of a cloud without noise."""

_POINTS, _LABELS, _HELD_OUT = range(3)


@dataclass(frozen=True)
class Examples:
    """Inputs, features × count, and targets, outputs × count.

    For ``classes`` the targets are 0 and 1: one output for two classes, else one output for each class. None
    means regression, where targets are any numbers.
    """

    inputs: Array
    targets: Array
    classes: int | None

    @property
    def count(self) -> int:
        """How many examples."""
        return int(self.inputs.shape[1])

    @property
    def features(self) -> int:
        """How many features an input has."""
        return int(self.inputs.shape[0])

    @property
    def outputs(self) -> int:
        """How many outputs a network needs to learn them."""
        return int(self.targets.shape[0])

    def take(self, places: NDArray[np.intp]) -> Examples:
        """Some of the examples."""
        return Examples(self.inputs[:, places], self.targets[:, places], self.classes)


class Split(NamedTuple):
    """The examples that networks are trained on, and those held out, if any."""

    training: Examples
    held_out: Examples | None


class _Drawn(NamedTuple):
    inputs: Array
    labels: NDArray[np.intp]


def _rings(generator: np.random.Generator, labels: NDArray[np.intp], noise: float) -> Array:
    angle = 2 * math.pi * generator.random(labels.size)
    radius = (1 + labels) / 2
    return _blurred(np.stack([radius * np.cos(angle), radius * np.sin(angle)]), generator, noise)


def _moons(generator: np.random.Generator, labels: NDArray[np.intp], noise: float) -> Array:
    angle = math.pi * generator.random(labels.size)
    side = 1.0 - 2.0 * labels
    # Upper: (cos, sin); lower: (1 − cos, 1/2 − sin). Their common centre is (1/2, 1/4).
    points = np.stack([side * np.cos(angle) + labels - 0.5, side * np.sin(angle) + labels / 2 - 0.25])
    return _blurred(points / 2, generator, noise)


def _spirals(generator: np.random.Generator, labels: NDArray[np.intp], noise: float) -> Array:
    along = generator.random(labels.size)
    angle = 2 * math.pi * 1.75 * along + math.pi * labels
    radius = 0.1 + 0.9 * along
    return _blurred(np.stack([radius * np.cos(angle), radius * np.sin(angle)]), generator, noise)


def _blobs(generator: np.random.Generator, labels: NDArray[np.intp], noise: float) -> Array:
    angle = 2 * math.pi * labels / (labels.max(initial=0) + 1)
    return _blurred(np.stack([np.cos(angle), np.sin(angle)]), generator, math.hypot(_SPREAD_OF_BLOBS, noise))


def _xor(generator: np.random.Generator, labels: NDArray[np.intp], noise: float) -> Array:
    points = generator.random((2, labels.size))
    sides = np.where(generator.random(labels.size) < 0.5, -1.0, 1.0)
    points *= np.stack([sides, sides * (2.0 * labels - 1)])
    return _blurred(points, generator, noise)


def _blurred(points: Array, generator: np.random.Generator, noise: float) -> Array:
    return points + noise * generator.standard_normal(points.shape)


_PLANES: Mapping[str, Callable[[np.random.Generator, NDArray[np.intp], float], Array]] = {
    "rings": _rings,
    "moons": _moons,
    "spirals": _spirals,
    "blobs": _blobs,
    "xor": _xor,
}

KINDS = (*_PLANES, "line", "digits")
"""The data sets, by the contract's names."""


def shape(kind: str, classes: int) -> tuple[int, int, int]:
    """Features, outputs and, by default, examples of the data set ``kind``; raises `UnknownName`."""
    if kind not in KINDS:
        raise UnknownName("data set", kind, KINDS, loc=("data", "kind"))
    if kind == "digits":
        return 64, 10, DIGITS
    outputs = classes if kind == "blobs" and classes > 2 else 1
    return 1 if kind == "line" else 2, outputs, COUNT


def drawn(
    kind: str,
    seed: int,
    *,
    count: int | None = None,
    noise: float = NOISE,
    classes: int = BLOBS,
    held_out: float = 0.0,
) -> Split:
    """The data set ``kind`` of ``seed``, with the fraction ``held_out`` split off.

    Of the digits, ``count`` are chosen at random; all where it is None.
    Raises `UnknownName`, and `InvalidValue` for numbers that do not fit.
    """
    if kind not in KINDS:
        raise UnknownName("data set", kind, KINDS, loc=("data", "kind"))
    stream = Stream(seed)
    if kind == "digits":
        points = _some_digits(count, stream.at(_POINTS).generator())
        return _split(labelled(*points, classes=10), held_out, stream)
    points = _drawn(kind, COUNT if count is None else count, noise, classes, stream)
    return _split(labelled(*points, classes=classes if kind == "blobs" else 2), held_out, stream)


def _drawn(kind: str, count: int, noise: float, classes: int, stream: Stream) -> _Drawn:
    generator = stream.at(_POINTS).generator()
    if kind == "line":
        inputs = 2 * generator.random((1, count)) - 1
        doubt = stream.at(_LABELS).generator().logistic(size=count)
        return _Drawn(inputs, (inputs[0] > noise * doubt).astype(np.intp))
    labels = np.arange(count) % (classes if kind == "blobs" else 2)
    return _Drawn(_PLANES[kind](generator, labels, noise), labels)


def given(inputs: Array, targets: Array, *, classify: bool, held_out: float, seed: int) -> Split:
    """The caller's own ``inputs``, count × features, and ``targets``.

    To ``classify``, targets are class numbers from 0, one for each input; else regression targets, one for
    each input, or count × outputs. Raises `InvalidValue` where they do not fit.
    """
    _check_given(inputs, targets)
    columns = np.ascontiguousarray(inputs.T)
    if not classify:
        rows = np.atleast_2d(targets.T)
        classes = 2 if len(rows) == 1 and np.isin(rows, (0, 1)).all() else None
        return _split(Examples(columns, np.ascontiguousarray(rows), classes), held_out, Stream(seed))
    if targets.ndim != 1 or not np.equal(targets, np.floor(targets)).all() or targets.min() < 0:
        raise InvalidValue("must be class numbers, 0, 1, 2 …, one for each input", loc=("data", "targets"))
    classes = max(2, int(min(targets.max(), 2.0**53)) + 1)
    if classes > MOST_CLASSES:
        raise InvalidValue(f"must be class numbers below {MOST_CLASSES}", loc=("data", "targets"))
    return _split(labelled(columns, targets.astype(np.intp), classes=classes), held_out, Stream(seed))


def _check_given(inputs: Array, targets: Array) -> None:
    if inputs.ndim != 2 or not inputs.size:
        raise InvalidValue("must be inputs: count × features", loc=("data", "inputs"))
    if targets.ndim not in (1, 2) or len(targets) != len(inputs) or not targets.size:
        raise InvalidValue(f"must be one for each of the {len(inputs)} inputs", loc=("data", "targets"))
    for name, values in (("inputs", inputs), ("targets", targets)):
        if not np.isfinite(values).all():
            raise InvalidValue("must be finite", loc=("data", name))


def labelled(inputs: Array, labels: NDArray[np.intp], *, classes: int) -> Examples:
    """Examples of ``classes``: one target for two classes, else one for each."""
    if classes == 2:
        return Examples(inputs, labels[None].astype(np.float64), 2)
    return Examples(inputs, np.equal.outer(np.arange(classes), labels).astype(np.float64), classes)


def _split(examples: Examples, held_out: float, stream: Stream) -> Split:
    kept = examples.count - round(held_out * examples.count)
    if not kept:
        raise InvalidValue("must leave examples to train on", loc=("data", "held_out"))
    if kept == examples.count:
        return Split(examples, None)
    order = stream.at(_HELD_OUT).generator().permutation(examples.count)
    return Split(examples.take(order[:kept]), examples.take(order[kept:]))


DIGITS = 1797
"""How many images there are."""


def _some_digits(count: int | None, generator: np.random.Generator) -> _Drawn:
    images, labels = digits()
    if count is None or count == DIGITS:
        return _Drawn(images, labels)
    if count > DIGITS:
        raise InvalidValue(f"must be at most {DIGITS}: there are no more digits", loc=("data", "count"))
    places = generator.permutation(DIGITS)[:count]
    return _Drawn(images[:, places], labels[places])


@cache
def digits() -> tuple[Array, NDArray[np.intp]]:
    """All images, 64 × 1797, of mean 0 and variance 1 taken together, and the digits that they show."""
    with np.load(Path(__file__).with_name("digits.npz"), allow_pickle=False) as file:
        pixels, labels = file["images"].T.astype(np.float64), file["labels"].astype(np.intp)
    images = (pixels - pixels.mean()) / pixels.std()
    images.setflags(write=False)
    return images, labels
