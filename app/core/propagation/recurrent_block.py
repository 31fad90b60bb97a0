"""Recurrent networks: one step at each time, the same weights at all of them; ``depth`` counts the times.

    rnn     h′ = φ(W_hh h + W_ih x + b)
    lstm    c′ = f ∘ c + i ∘ φ(g),  h′ = o ∘ φ(c′),  the gates i, f, o sigmoids
    gru     h′ = (1 − z) ∘ n + z ∘ h,  n = φ(W_in x + b_n + r ∘ W_hn h),  r, z sigmoids

Gates are those of PyTorch's ``nn.RNN``, ``nn.LSTM`` (Hochreiter and Schmidhuber 1997) and ``nn.GRU`` (Cho et
al. 2014), in its order, with one bias, added to what the inputs give; ``forget_bias`` is added to that of f.
x is N(0, variance) anew at every time, as wide as h; h and c start at 0, and the loss looks at the last h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from app.core.propagation.block import Load, Where
from app.core.propagation.layer import Layer, Matrix

Cell: TypeAlias = Literal["rnn", "lstm", "gru"]

GATES: dict[Cell, str] = {"rnn": "h", "lstm": "ifgo", "gru": "rzn"}
"""The letters of PyTorch's documentation, in the order of its matrices' rows."""

CELL_GRADIENT = "cell_gradient_log10_rms"

_KEPT: dict[Cell, int] = {"rnn": 2, "lstm": 14, "gru": 11}
"""Arrays of width × batch that a step keeps for the way back, beside what its linear maps keep."""

_FLOPS: dict[Cell, float] = {"rnn": 0.0, "lstm": 1000.0, "gru": 600.0}
"""What the gates take, for each element of h."""


@dataclass(frozen=True, kw_only=True)
class RecurrentBlock:
    """One step in time of a ``cell``; ``forget_bias`` is an lstm's."""

    cell: Cell = "rnn"
    forget_bias: float = 1.0
    kind: ClassVar[str] = "recurrent"
    norm: ClassVar[Where | None] = None
    passes: ClassVar[bool] = False

    @property
    def figures(self) -> tuple[str, ...]:
        """As `block.Block.figures`: dL/dc of an lstm."""
        return (CELL_GRADIENT,) if self.cell == "lstm" else ()

    @property
    def states(self) -> int:
        """How many times the width is handed from time to time: h, and c of an lstm."""
        return 2 if self.cell == "lstm" else 1

    def check(self, width: int) -> None:
        """As `block.Block.check`: it can have any width."""

    def shapes(self, width: int, pieces: int) -> tuple[Matrix, ...]:
        """As `block.Block.shapes`: what is asked about h, and what about x."""
        gates = GATES[self.cell]
        layer = Layer(width, width, len(gates) * pieces)
        return Matrix(tuple(f"W_h{each}" for each in gates), layer), Matrix(
            tuple(f"W_i{each}" for each in gates), layer
        )

    def load(self, width: int, batch: int, pieces: int) -> Load:
        """As `block.Block.load`."""
        elements = float(width * batch * pieces)
        return Load(_FLOPS[self.cell] * elements, _KEPT[self.cell] * elements)
