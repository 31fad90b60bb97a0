"""A network's own weights, as they were sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from app.core.errors import InvalidValue

Array: TypeAlias = NDArray[Any]


@runtime_checkable
class Tensor(Protocol):
    """A tensor that a file declares; its values are read on demand."""

    @property
    def name(self) -> str:
        """As the file has it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its axes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The format it is stored in."""

    @property
    def read(self) -> Any:
        """The values in float64."""


@dataclass(frozen=True, eq=False)
class StateDict:
    """A file's tensors, none of them read yet; ``most`` is the limit on their numbers."""

    tensors: Sequence[Tensor]
    most: int


class Affine(NamedTuple):
    """The affine map after a normalisation: gain · ẑ + offset by feature; None for gain 1 or offset 0."""

    gain: Array | None
    offset: Array | None


PLAIN = Affine(None, None)


class Taken(NamedTuple):
    """A tensor of each block: its name, with ``*`` for the block's number, and the part it was taken for."""

    tensor: str
    part: str
    kind: str
    shape: tuple[int, ...]
    transposed: bool


class Origin(NamedTuple):
    """Where blocks' weights come from: the module with such names, and which tensors were used for what."""

    module: str
    taken: tuple[Taken, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class GivenWeights:
    """A network's own matrices, rows × fan_in each, in forward order, and biases (None for none).

    The rows of a unit with several pre-activations follow each other. Blocks have their matrices one block
    after the other, in the order of `Network.matrices`, and their normalisations' gains and offsets in
    ``norms``. Raises `InvalidValue` for matrices and biases that do not fit each other or are not finite.
    """

    matrices: Sequence[Array]
    biases: Sequence[Array | None]
    norms: Sequence[Affine] = ()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not self.matrices or any(each.ndim != 2 or not each.size for each in self.matrices):
            raise InvalidValue("must be one or more matrices, none of them empty", loc=("weights",))
        if len(self.biases) != len(self.matrices):
            raise InvalidValue("must be as many biases as matrices", loc=("weights",))
        for number, layer in enumerate(zip(self.matrices, self.biases, strict=True), start=1):
            _check_layer(number, *layer)


def _check_layer(number: int, matrix: Array, bias: Array | None) -> None:
    if bias is not None and bias.shape != matrix.shape[:1]:
        raise InvalidValue(f"the bias of layer {number} must have {len(matrix)} numbers", loc=("weights",))
    if not all(each is None or np.isfinite(each).all() for each in (matrix, bias)):
        raise InvalidValue(f"layer {number} has a number that is not finite", loc=("weights",))
