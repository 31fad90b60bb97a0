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
        return self._product(self._right, self._left, h)

    def backward(self, delta: Batch) -> Array:
        """Wᵀ δ, fan_in × B."""
        return self._product(self._left, self._right, delta)

    def _product(self, side: Known, other: Known, inputs: Batch) -> Array:
        size = np.sqrt(inputs.gram.diagonal())
        unit = inputs.scaled / np.where(size > 0, size, 1).astype(inputs.values.dtype)
        fresh = side.new_directions(unit, inputs.blocks)
        if fresh.shape[1]:
            products = side.draw_products(fresh.shape[1], self._std, inputs.blocks)
            # Along the other side's directions the products with the transpose are known already.
            along = other.products_along(fresh, inputs.blocks) - other.along(products, inputs.blocks)
            other.add_directions(products, along, inputs.blocks)
            side.append(fresh, products)
        return inputs.restored(side.product(side.along(unit, inputs.blocks) * size, inputs.blocks))


class Known:
    """Orthonormal directions Q to which a matrix was applied from one side, and the products Y.

    Both are stored row by row in arrays with room for all, so that those known so far are one block.
    """

    def __init__(
        self, size: int, products: int, most: int, stream: Stream, dtype: np.dtype[np.floating]
    ) -> None:
        self._shape = min(most, size), size, products
        self._dtype = dtype
        self._directions = np.empty((0, size), dtype)
        self._products = np.empty((0, products), dtype)
        self._stream = stream
        self._count = 0
        self._draws = 0

    def along(self, columns: Array, blocks: Blocks) -> Array:
        """Qᵀ · columns, in float64."""
        return cross(self._directions[: self._count].T, columns, blocks)

    def products_along(self, columns: Array, blocks: Blocks) -> Array:
        """Yᵀ · columns, in float64."""
        return cross(self._products[: self._count].T, columns, blocks)

    def product(self, along: Array, blocks: Blocks) -> Array:
        """The product with the vectors that have these components along Q."""
        return times(self._products[: self._count].T, along, blocks)

    def add_directions(self, columns: Array, along: Array, blocks: Blocks) -> None:
        """Adds Q · along to ``columns``, in place."""
        known, factor = self._directions[: self._count], along.astype(columns.dtype)

        def add(block: slice) -> None:
            columns[block] += known[:, block].T @ factor

        if self._count:
            blocks.each(len(columns), add)

    def new_directions(self, unit: Array, blocks: Blocks) -> Array:
        """Orthonormal columns, orthogonal to Q, that span what is left of the unit columns outside Q."""
        rest = unit.copy()
        self.add_directions(rest, -self.along(rest, blocks), blocks)
        live = np.linalg.norm(rest, axis=0) > indistinct(unit.dtype)
        room = self._shape[0] - self._count
        if not live.any() or not room:
            return rest[:, :0]
        fresh = _orthonormalised(np.ascontiguousarray(rest[:, live]), blocks)
        # Where little is new, the rounding error along Q matters: it is removed once more.
        self.add_directions(fresh, -self.along(fresh, blocks), blocks)
        return _orthonormalised(fresh, blocks)[:, :room]

    def draw_products(self, columns: int, std: float, blocks: Blocks) -> Array:
        """Independent N(0, σ²) for the products with that many new directions, one per column."""
        address = self._stream.at(self._draws)
        self._draws += 1
        values = address.normals(self._shape[2], Blocks(columns, blocks.map_blocks), self._dtype)
        values *= std
        return values

    def append(self, directions: Array, products: Array) -> None:
        """Adds directions, orthogonal to all others, with their products."""
        if not self._count:
            room, size, image = self._shape
            self._directions, self._products = (np.empty((room, each), self._dtype) for each in (size, image))
        new = slice(self._count, self._count + directions.shape[1])
        self._directions[new], self._products[new] = directions.T, products.T
        self._count = new.stop


def _orthonormalised(columns: Array, blocks: Blocks) -> Array:
    basis = orthonormal(Batch(columns, blocks))
    return times(basis.tall, basis.small, blocks)
