"""Recurrent networks: one step at each time, the same weights at all of them; ``depth`` counts the times.

    rnn     h′ = φ(W_hh h + W_ih x + b)
    lstm    c′ = f ∘ c + i ∘ φ(g),  h′ = o ∘ φ(c′),  the gates i, f, o sigmoids
    gru     h′ = (1 − z) ∘ n + z ∘ h,  n = φ(W_in x + b_n + r ∘ W_hn h),  r, z sigmoids

Gates are those of PyTorch's ``nn.RNN``, ``nn.LSTM`` (Hochreiter and Schmidhuber 1997) and ``nn.GRU`` (Cho et
al. 2014), in its order, with one bias, added to what the inputs give; ``forget_bias`` is added to that of f.
Each x is drawn from N(0, variance), or the caller's own; h and c start at 0, and the loss depends on the
last h. Weights that are sent have both of PyTorch's biases, each where PyTorch adds it.

With several ``layers`` (PyTorch's ``num_layers``) the h of one is the x of the next at the same time, and the
loss depends on the last layer's.

``bidirectional`` layers have a second cell with weights of its own, which goes from the last time to the
first; the h of both, one over the other, are the x of the next layer. The loss looks at the last h of either,
the second one's at the first time, as PyTorch's ``h_n`` has them. A step is the same step of both directions:
step k of K is time k of the first, and time K + 1 − k of the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, TypeAlias

from app.core.propagation.block import Load, Where, refuse
from app.core.propagation.layer import Layer, Matrix
from app.core.propagation.layout import Entry, Layout, Shape

Cell: TypeAlias = Literal["rnn", "lstm", "gru"]

GATES: dict[Cell, str] = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}
"""The letters of PyTorch's documentation, in the order of its matrices' rows."""

CELL_GRADIENT = "cell_gradient_log10_rms"

_REVERSE = "_reverse"

_KEPT: dict[Cell, int] = {"rnn": 2, "lstm": 14, "gru": 11}
"""Arrays of width × batch that a step keeps for the backward pass, besides what its linear maps keep."""

_FLOPS: dict[Cell, float] = {"rnn": 0.0, "lstm": 1000.0, "gru": 600.0}
"""The cost of the gates, for each element of h."""


LAYERS = 100
"""The most stacked layers."""

_REFUSED = {"weight_hr_l0": "the states are projected (proj_size), and a block's are not"}


@dataclass(frozen=True, kw_only=True)
class RecurrentBlock:
    """One time step of ``layers`` of a ``cell``; ``forget_bias`` is for lstm, ``features`` the size of x."""

    cell: Cell = "rnn"
    layers: int = 1
    bidirectional: bool = False
    forget_bias: float = 1.0
    features: int | None = None
    kind: ClassVar[str] = "recurrent"
    norm: ClassVar[Where | None] = None
    passes: ClassVar[bool] = False

    @property
    def figures(self) -> tuple[str, ...]:
        """As `block.Block.figures`: dL/dc of an lstm."""
        return (CELL_GRADIENT,) if self.cell == "lstm" else ()

    @property
    def states(self) -> int:
        """The size of the state that a layer passes on, in widths: h, and c of an lstm."""
        return 2 if self.cell == "lstm" else 1

    @property
    def directions(self) -> int:
        """Cells of each layer."""
        return 2 if self.bidirectional else 1

    @property
    def cells(self) -> int:
        """The cells of all layers."""
        return self.layers * self.directions

    def inputs(self, width: int) -> int:
        """Numbers of each x_t."""
        return self.features or width

    def check(self, width: int) -> None:
        """As `block.Block.check`: it can have any width."""

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `block.Block.shapes`: of each cell the matrices applied to its h, and those to its x."""
        gates = GATES[self.cell]
        count = len(gates) * pieces
        below = self.directions * width
        return tuple(
            Matrix(tuple(f"W_{side}{gate}{mark}" for gate in gates), Layer(features, width, count))
            for layer in range(self.layers)
            for mark in self._marks(layer)
            for side, features in (("h", width), ("i", below if layer else self.inputs(width)))
        )

    def infer_from_names(self, names: Iterable[str]) -> Self:
        """As `block.Block.infer_from_names`: the numbers of layers, none left out, and of directions."""
        matches = [re.search(r"(?:^|\.)weight_hh_l([0-9]{1,9})(_reverse)?$", name) for name in names]
        found = {int(each[1]) for each in matches if each}
        if found - set(range(len(found))):
            refuse(
                "layers are missing: they are named weight_hh_l0, weight_hh_l1 and so on, and the last here "
                f"is weight_hh_l{max(found)}"
            )
        if len(found) > LAYERS:
            refuse(f"there are {len(found):,} layers; the most is {LAYERS}")
        both = any(each[2] for each in matches if each)
        return replace(self, layers=max(1, len(found)), bidirectional=both)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """As `block.Block.layouts`: a cell's own names are those of one layer."""
        module = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}[self.cell]
        cells = [
            self._entries(mark, f"_l{layer}{end}")
            for layer in range(self.layers)
            for mark, end in zip(self._marks(layer), ("", _REVERSE), strict=False)
        ]
        together = tuple(
            each for each in zip(*cells, strict=True) if len(cells) > 1 and each[0].kind == "bias"
        )
        whole = tuple(entry for each in cells for entry in each)
        network = Layout(f"torch.nn.{module}", whole, refused=_REFUSED, together=together)
        if self.bidirectional:
            return (network,)
        return network, Layout(f"torch.nn.{module}Cell", self._entries("", ""), refused=_REFUSED)

    def _entries(self, mark: str, end: str) -> tuple[Entry, ...]:
        """The tensors of one cell; ``mark`` ends the names of its matrices, ``end`` those of the tensors."""
        first = GATES[self.cell][0]
        return tuple(
            Entry(f"W_{side[0]}{first}{mark}", each, (f"{each}_{side}{end}",), required=each == "weight")
            for side in ("hh", "ih")
            for each in ("weight", "bias")
        )

    def _marks(self, layer: int) -> list[str]:
        """The suffixes of the names of a layer's matrices, by direction; none for the first one forwards."""
        mark = f"_l{layer}" if layer else ""
        return [mark, f"{mark}{_REVERSE}"][: self.directions]

    def norms(self, width: int) -> tuple[tuple[str, int], ...]:  # noqa: ARG002  there are none
        """As `block.Block.norms`."""
        return ()

    def fitted(self, shapes: Mapping[str, Shape], pieces: int) -> tuple[Self, int]:
        """As `block.Block.fitted`: the weights determine the size of x and all biases."""
        state, inputs = (shapes[f"W_{side}{GATES[self.cell][0]}"] for side in "hi")
        count = len(GATES[self.cell]) * pieces
        if (
            len(state) != 2
            or len(inputs) != 2
            or not state[1]
            or not inputs[1]
            or state[0] != count * state[1]
        ):
            refuse(
                f"the weights of a cell {self.cell} have {count} rows for each unit, and a column for each"
            )
        features = None if inputs[1] == state[1] else inputs[1]
        return replace(self, forget_bias=0.0, features=features), state[1]

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `block.Block.load`."""
        elements = float(self.cells * width * batch * pieces)
        return Load(_FLOPS[self.cell] * elements, _KEPT[self.cell] * elements)
