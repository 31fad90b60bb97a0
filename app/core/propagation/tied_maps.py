"""Weight tying without the weights: a matrix that many steps apply, forward and backward, and never made.

W has independent N(0, σ²) entries. Known are its products so far: W Q = Y for orthonormal Q, the directions
of the forward products, and Wᵀ P = V for those of the backward ones. Given these, W is random only between
the complements, where it is an independent copy W̃ of itself:

    W = Y Qᵀ + P Vᵀ (1 − Q Qᵀ) + (1 − P Pᵀ) W̃ (1 − Q Qᵀ).

An input is split into its part along Q and the rest. The first is mapped by Y; the rest is made orthonormal,
a direction n of it is mapped to W n = P Vᵀ n + (1 − P Pᵀ) σ g, g standard normal, and joins Q. The backward
product is the same with Wᵀ for W. So the known directions grow by the batch's rank with each product, earlier
products are reproduced, and all of them are distributed as those of one matrix: Lu's "Householder Dice"
(2021, arXiv:2101.07464). With k = steps · B directions that is O(N k B) work a product and O(N k) memory,
instead of O(N² B) and O(N²).
"""

from __future__ import annotations

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.blocks import Blocks
from app.core.propagation.streams import Stream
from app.core.propagation.tall import Batch, cross, indistinct, orthonormal, times

_FORWARD, _BACKWARD = range(2)


class TiedGaussian:
    """W, fan_out × fan_in, with independent N(0, σ²) entries, for up to ``most`` columns each way."""

    def __init__(
        self, fan_in: int, fan_out: int, std: float, stream: Stream, most: int, dtype: np.dtype[np.floating]
    ) -> None:
        self._std = std
        self._right = Known(fan_in, fan_out, most, stream.at(_FORWARD), dtype)
        self._left = Known(fan_out, fan_in, most, stream.at(_BACKWARD), dtype)

    def forward(self, h: Batch) -> Array:
        """W h, fan_out × B."""
        return self._asked(self._right, self._left, h)

    def backward(self, delta: Batch) -> Array:
        """Wᵀ δ, fan_in × B."""
        return self._asked(self._left, self._right, delta)

    def _asked(self, side: Known, other: Known, question: Batch) -> Array:
        size = np.sqrt(question.gram.diagonal())
        unit = question.scaled / np.where(size > 0, size, 1).astype(question.values.dtype)
        fresh = side.beyond(unit, question.blocks)
        if fresh.shape[1]:
            answers = side.drawn(fresh.shape[1], self._std, question.blocks)
            # Along the other side's directions the products with the transpose are known already.
            along = other.answered(fresh, question.blocks) - other.along(answers, question.blocks)
            other.add_directions(answers, along, question.blocks)
            side.learn(fresh, answers)
        return question.restored(side.answer(side.along(unit, question.blocks) * size, question.blocks))


class Known:
    """Orthonormal directions to which a matrix was applied from one side, and the products.

    Row by row in arrays that have room for all, so that those known so far are one block.
    """

    def __init__(
        self, size: int, answers: int, most: int, stream: Stream, dtype: np.dtype[np.floating]
    ) -> None:
        self._shape = min(most, size), size, answers
        self._dtype = dtype
        self._directions = np.empty((0, size), dtype)
        self._answers = np.empty((0, answers), dtype)
        self._stream = stream
        self._count = 0
        self._questions = 0

    def along(self, columns: Array, blocks: Blocks) -> Array:
        """Qᵀ · columns, in float64."""
        return cross(self._directions[: self._count].T, columns, blocks)

    def answered(self, columns: Array, blocks: Blocks) -> Array:
        """(answers)ᵀ · columns, in float64."""
        return cross(self._answers[: self._count].T, columns, blocks)

    def answer(self, along: Array, blocks: Blocks) -> Array:
        """The answer to a question with these components."""
        return times(self._answers[: self._count].T, along, blocks)

    def add_directions(self, columns: Array, along: Array, blocks: Blocks) -> None:
        """Adds Q · along to ``columns``, in place."""
        known, factor = self._directions[: self._count], along.astype(columns.dtype)

        def add(block: slice) -> None:
            columns[block] += known[:, block].T @ factor

        if self._count:
            blocks.each(len(columns), add)

    def beyond(self, unit: Array, blocks: Blocks) -> Array:
        """Orthonormal columns, orthogonal to all directions, that span the rest of columns of length one."""
        rest = unit.copy()
        self.add_directions(rest, -self.along(rest, blocks), blocks)
        live = np.linalg.norm(rest, axis=0) > indistinct(unit.dtype)
        room = self._shape[0] - self._count
        if not live.any() or not room:
            return rest[:, :0]
        fresh = _orthonormalised(np.ascontiguousarray(rest[:, live]), blocks)
        # What rounding left along the directions counts where little is new: again.
        self.add_directions(fresh, -self.along(fresh, blocks), blocks)
        return _orthonormalised(fresh, blocks)[:, :room]

    def drawn(self, columns: int, std: float, blocks: Blocks) -> Array:
        """Independent N(0, σ²), a row each for an answer's entry, for the next question."""
        address = self._stream.at(self._questions)
        self._questions += 1
        values = address.normals(self._shape[2], Blocks(columns, blocks.map_blocks), self._dtype)
        values *= std
        return values

    def learn(self, directions: Array, answers: Array) -> None:
        """That these directions, orthogonal to all others, have these answers."""
        if not self._count:
            room, size, answered = self._shape
            self._directions, self._answers = (
                np.empty((room, each), self._dtype) for each in (size, answered)
            )
        new = slice(self._count, self._count + directions.shape[1])
        self._directions[new], self._answers[new] = directions.T, answers.T
        self._count = new.stop


def _orthonormalised(columns: Array, blocks: Blocks) -> Array:
    basis = orthonormal(Batch(columns, blocks))
    return times(basis.tall, basis.small, blocks)
