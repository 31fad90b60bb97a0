"""Parts that blocks are made of, forward and backward, for arrays of features × batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from app.core.arithmetic import Array
from app.core.propagation.block import Part
from app.core.propagation.blocks import Blocks
from app.core.propagation.given import PLAIN, Affine
from app.core.propagation.layer import Matrix
from app.core.propagation.linear_maps import Dense, LinearMap
from app.core.propagation.normalisation import Normalisation, Normalised
from app.core.propagation.responses import Response, pulled, respond
from app.core.propagation.tall import Batch, product_norm
from app.core.propagation.units import Units


class Chain:
    """One part after the other."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def forward(self, h: Array) -> Array:
        """Through all parts in order."""
        for part in self._parts:
            h = part.forward(h)
        return h

    def backward(self, gradient: Array) -> Array:
        """Through all parts in reverse order."""
        for part in reversed(self._parts):
            gradient = part.backward(gradient)
        return gradient


class Linear:
    """W u + b. The norms of dL/dW are known after the backward pass."""

    def __init__(
        self,
        matrix: Matrix,
        weights: LinearMap,
        offset: Array | None,
        blocks: Blocks,
        *,
        gram_needed: bool = True,
    ) -> None:
        """``gram_needed`` says whether the weights need Gram matrices."""
        self.matrix = matrix
        self.log10_norms = dict.fromkeys(matrix.names, math.nan)
        self.offset = offset
        self._weights = weights
        self._blocks = blocks
        self._in_need = gram_needed

    @property
    def made(self) -> Array | None:
        """W, if it was made."""
        return self._weights.weights if isinstance(self._weights, Dense) else None

    def forward(self, h: Array) -> Array:
        """W u + b; NaN throughout where u is not finite, which the block has to check."""
        self._inputs = Batch(h, self._blocks, gram_needed=self._in_need)
        if not np.isfinite(self._inputs.mean_square):
            return np.full((self.matrix.layer.rows, h.shape[1]), np.nan, h.dtype)
        answer = self._weights.forward(self._inputs)
        if self.offset is not None:
            answer += self.offset[:, None]
        return answer

    def backward(self, gradient: Array) -> Array:
        """Wᵀ δ; NaN throughout where δ is not finite."""
        batches = self.measure(gradient)
        if not all(np.isfinite(each.mean_square) for each in batches):
            return np.full((self.matrix.layer.fan_in, gradient.shape[1]), np.nan, gradient.dtype)
        return self._weights.backward(batches[0] if len(batches) == 1 else _joined(gradient, batches))

    def measure(self, gradient: Array) -> list[Batch]:
        """Records the norms of dL/dW; returns δ cut into the rows of each matrix."""
        parts = np.split(gradient, len(self.matrix.names))
        batches = [Batch(part, self._blocks, gram_needed=self._in_need) for part in parts]
        for name, each in zip(self.matrix.names, batches, strict=True):
            shift = math.log10(each.scale) + math.log10(self._inputs.scale)
            self.log10_norms[name] = shift + float(np.log10(product_norm(each, self._inputs)))
        return batches


class MemoryLinear:
    """W m + b for the tokens m of another sequence, features × tokens; m itself gets no gradient."""

    def __init__(self, linear: Linear, memory: Array) -> None:
        self._linear = linear
        self._memory = memory

    @property
    def tokens(self) -> int:
        """How many there are."""
        return int(self._memory.shape[1])

    def forward(self) -> Array:
        """Rows × tokens."""
        return self._linear.forward(self._memory)

    def backward(self, gradient: Array) -> None:
        """Takes the norms of dL/dW."""
        self._linear.measure(gradient)


def _joined(values: Array, parts: Sequence[Batch]) -> Batch:
    """The batch whose rows are those of its parts, one after the other."""
    if not all(each.has_gram for each in parts):
        return Batch(values, parts[0].blocks, gram_needed=False)
    known = None if any(each.exponent for each in parts) else np.sum([each.gram for each in parts], axis=0)
    return Batch(values, parts[0].blocks, known)


class Activation:
    """φ, unit by unit, and dropout after it.

    ``measured`` is called with the pre-activations and the response in the forward pass; ``masked`` applies
    dropout.
    """

    def __init__(
        self,
        units: Units,
        count: int,
        blocks: Blocks,
        measured: Callable[[Array, Response], None],
        masked: Callable[[Response], Response] | None = None,
    ) -> None:
        self._units = units
        self._count = count
        self._blocks = blocks
        self._measured = measured
        self._masked = masked

    def forward(self, h: Array) -> Array:
        """φ(z)."""
        response = respond(self._units, self._count, h, self._blocks)
        self._measured(h, response)
        if self._masked is not None:
            response = self._masked(response)
        self._slopes = response.slopes
        return response.outputs

    def backward(self, gradient: Array) -> Array:
        """φ′(z) · δ."""
        return pulled(self._slopes, gradient, None, self._blocks)


class Norm:
    """n(·), and perhaps a gain and an offset for each feature."""

    def __init__(self, normalisation: Normalisation, blocks: Blocks, affine: Affine = PLAIN) -> None:
        self._normalisation = normalisation
        self._blocks = blocks
        self._gain, self._offset = (None if each is None else each[:, None] for each in affine)
        self._kept: Normalised

    def forward(self, h: Array) -> Array:
        """gain · n(h) + offset."""
        self._kept = self._normalisation.forward(h, self._blocks)
        answer = self._kept.values
        if self._gain is not None:
            answer = answer * self._gain
        return answer if self._offset is None else answer + self._offset

    def backward(self, gradient: Array) -> Array:
        """Through n."""
        if self._gain is not None:
            gradient = gradient * self._gain
        return self._normalisation.backward(gradient, self._kept, self._blocks)


class Branched:
    """skip · h + scale · branch(h)."""

    def __init__(self, branch: Part, skip: float, scale: float, blocks: Blocks) -> None:
        self._branch = branch
        self._skip = skip
        self._scale = scale
        self._blocks = blocks

    def forward(self, h: Array) -> Array:
        """The sum of skip connection and branch."""
        return self._sum(self._branch.forward(h), self._scale, h)

    def backward(self, gradient: Array) -> Array:
        """The gradient through skip connection and branch."""
        scaled = gradient if self._scale == 1 else gradient * gradient.dtype.type(self._scale)
        return self._sum(self._branch.backward(scaled), 1.0, gradient)

    def _sum(self, answer: Array, scale: float, past: Array) -> Array:
        """scale · answer + skip · past, in the place of ``answer``."""

        def add(block: slice) -> None:
            if scale != 1:
                answer[block] *= scale
            answer[block] += past[block] if self._skip == 1 else self._skip * past[block]

        self._blocks.each(len(answer), add)
        return answer
