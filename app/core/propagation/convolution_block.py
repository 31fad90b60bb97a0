"""Convolutions: z = W ∗ h + b, then φ; every position of the output sees the kernel's patch around it.

    z[c, p] = Σ W[c, c′, t] h[c′, p + t − left],  left = ⌊(kernel − 1)/2⌋,  and h′ = φ(z)

as ``nn.Conv1d`` and ``nn.Conv2d`` compute it with "same" padding: the size stays what it was, and beyond the
edge are the other edge (``circular``) or zeros. The width counts channels; fan_in and fan_out are channels ·
kernel^dimensions. An input is channels × size (× size), flattened in that order.

A convolution is one matrix, channels × channels · kernel^dimensions, that is applied to the patches of all
positions of all inputs: that many columns. Where these are few compared with the channels, the weights need
not be made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar, Literal, Self

import numpy as np

from app.core.arithmetic import Array
from app.core.errors import InvalidValue
from app.core.propagation.block import Load, Part, Where, Workshop, refuse
from app.core.propagation.block_parts import Chain, Linear
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.layout import Entry, Layout, Shape
from app.core.propagation.tall import largest

_WEIGHTS = "W"


@dataclass(frozen=True, kw_only=True)
class ConvolutionBlock:
    """A ``kernel`` no larger than the ``size``, along each of the ``dimensions``."""

    kernel: int = 3
    size: int = 32
    dimensions: Literal[1, 2] = 1
    padding: Literal["circular", "zeros"] = "circular"
    kind: ClassVar[str] = "convolution"
    figures: ClassVar[tuple[str, ...]] = ()
    layouts: ClassVar[tuple[Layout, ...]] = (
        Layout(
            "torch.nn.Conv1d, torch.nn.Conv2d",
            (Entry(_WEIGHTS, "weight", ("weight",), required=True), Entry(_WEIGHTS, "bias", ("bias",))),
            axes=(3, 4),
            complete=True,
        ),
    )
    norm: ClassVar[Where | None] = None
    passes: ClassVar[bool] = False

    @property
    def places(self) -> int:
        """Positions of one input."""
        return int(self.size**self.dimensions)

    @property
    def has_edges(self) -> bool:
        """Whether some positions see zeros beyond the edge."""
        return self.padding == "zeros" and self.kernel > 1

    @property
    def taps(self) -> int:
        """Positions that one output sees."""
        return int(self.kernel**self.dimensions)

    def check(self, width: int) -> None:  # noqa: ARG002  any number of channels
        """As `block.Block.check`."""
        if self.kernel > self.size:
            raise InvalidValue(f"must be at most the size, {self.size:,}", loc=("block", "kernel"))

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `block.Block.shapes`."""
        return (Matrix((_WEIGHTS,), Layer(width * self.taps, width, pieces, self.taps)),)

    def norms(self, width: int) -> tuple[tuple[str, int], ...]:  # noqa: ARG002  there are none
        """As `block.Block.norms`."""
        return ()

    def infer_from_names(self, names: Iterable[str]) -> Self:  # noqa: ARG002  names imply no option
        """As `block.Block.infer_from_names`."""
        return self

    def fitted(self, shapes: Mapping[str, Shape], pieces: int) -> tuple[Self, int]:
        """As `block.Block.fitted`: the weights determine kernel and dimensions."""
        rows, channels, *kernel = shapes[_WEIGHTS]
        if len(set(kernel)) != 1 or not kernel[0]:
            refuse("a kernel must be as long in both dimensions")
        if not channels or rows != channels * pieces:
            refuse(
                "a convolution must have as many channels going in as coming out, weights being outputs × "
                f"inputs × kernel, with {pieces} outputs for each channel"
            )
        dimensions: Literal[1, 2] = 1 if len(kernel) == 1 else 2
        made = replace(self, kernel=kernel[0], dimensions=dimensions)
        made.check(channels)
        return made, channels

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `block.Block.load`: the stream's own Gram matrix; slopes are kept."""
        elements = float(width * batch * self.places)
        return Load(4 * batch * elements, (pieces + 1) * elements)

    def build(self, workshop: Workshop) -> Part:
        """As `block.Block.build`."""
        linear = workshop.linear(_WEIGHTS)
        assert isinstance(linear, Linear)
        channels = workshop.width
        convolution: Part = (
            Chain([Patches(self, channels), linear])
            if linear.made is None
            else Convolution(self, channels, linear, linear.made)
        )
        return Chain([convolution, workshop.activation(channels), Flat(self.places)])


class Flat:
    """From channels × (positions · batch) to (channels · positions) × batch."""

    def __init__(self, places: int) -> None:
        self._places = places

    def forward(self, h: Array) -> Array:
        """The same numbers."""
        return h.reshape(len(h) * self._places, -1)

    def backward(self, gradient: Array) -> Array:
        """The same numbers."""
        return gradient.reshape(len(gradient) // self._places, -1)


class Patches:
    """From (channels · positions) × batch to (channels · taps) × (positions · batch): each output's patch."""

    def __init__(self, block: ConvolutionBlock, channels: int) -> None:
        self._block = block
        self._channels = channels
        self._offsets = _offsets(block)

    def forward(self, h: Array) -> Array:
        """The patches."""
        grid = h.reshape(_shape(self._block, self._channels))
        copies = [_shifted(grid, each, self._block) for each in self._offsets]
        return np.stack(copies, axis=1).reshape(len(grid) * len(copies), -1)

    def backward(self, gradient: Array) -> Array:
        """The gradient at each position: the sum over all patches that contain it."""
        shape = _shape(self._block, self._channels)
        copies = np.split(
            gradient.reshape(self._channels, len(self._offsets), -1), len(self._offsets), axis=1
        )
        total = np.zeros(
            (self._channels * self._block.places, copies[0].size // _rows(shape)), gradient.dtype
        )
        grid = total.reshape(shape)
        for copy, offset in zip(copies, self._offsets, strict=True):
            grid += _shifted(copy.reshape(shape), [-each for each in offset], self._block)
        return total


class Convolution:
    """W ∗ h + b with weights that are made, tap by tap: without patches."""

    def __init__(self, block: ConvolutionBlock, channels: int, linear: Linear, weights: Array) -> None:
        self._block = block
        self._channels = channels
        self._linear = linear
        offsets = _offsets(block)
        taps = np.moveaxis(weights.reshape(len(weights), channels, len(offsets)), 2, 0)
        self._taps = list(zip(np.ascontiguousarray(taps), offsets, strict=True))

    def forward(self, h: Array) -> Array:
        """rows × (positions · batch)."""
        self._grid = h.reshape(_shape(self._block, self._channels))
        answer: Array = sum(weights @ self._seen(self._grid, offset) for weights, offset in self._taps)
        if self._linear.offset is not None:
            answer += self._linear.offset[:, None]
        return answer

    def backward(self, gradient: Array) -> Array:
        """(channels · positions) × batch; the norm of dL/dW is then known."""
        self._linear.log10_norms[_WEIGHTS] = self._log10_norm(gradient)
        total = np.zeros_like(self._grid)
        for weights, offset in self._taps:
            pulled = (weights.T @ gradient).reshape(total.shape)
            total += _shifted(pulled, [-each for each in offset], self._block)
        return total.reshape(self._channels * self._block.places, -1)

    def _log10_norm(self, gradient: Array) -> float:
        """log10 ‖dL/dW‖, from each tap's δ h_tᵀ, both scaled to near one."""
        sizes = largest(gradient), largest(self._grid)
        if not all(map(math.isfinite, sizes)):
            return math.nan
        shifts = [math.frexp(each)[1] for each in sizes]
        delta, grid = np.ldexp(gradient, -shifts[0]), np.ldexp(self._grid, -shifts[1])
        parts = [delta @ self._seen(grid, offset).T for _, offset in self._taps]
        norm = math.sqrt(sum(float(np.sum(np.square(each, dtype=np.float64))) for each in parts))
        return float(np.log10(norm)) + sum(shifts) * math.log10(2)

    def _seen(self, grid: Array, offset: list[int]) -> Array:
        return _shifted(grid, offset, self._block).reshape(self._channels, -1)


def _offsets(block: ConvolutionBlock) -> list[list[int]]:
    """The taps' offsets from the output's position, in the order of PyTorch's weights."""
    left = (block.kernel - 1) // 2
    return [list(each) for each in product(range(-left, block.kernel - left), repeat=block.dimensions)]


def _shape(block: ConvolutionBlock, channels: int) -> tuple[int, ...]:
    return (channels, *[block.size] * block.dimensions, -1)


def _rows(shape: tuple[int, ...]) -> int:
    return math.prod(shape[:-1])


def _shifted(grid: Array, offset: list[int], block: ConvolutionBlock) -> Array:
    """A copy shifted so that every position has the value that lies ``offset`` from it."""
    if block.padding == "circular":
        return np.roll(grid, [-each for each in offset], range(1, 1 + block.dimensions))
    answer = np.zeros_like(grid)
    size = block.size
    here = tuple(slice(max(0, -each), size - max(0, each)) for each in offset)
    there = tuple(slice(max(0, each), size - max(0, -each)) for each in offset)
    answer[:, *here] = grid[:, *there]
    return answer
