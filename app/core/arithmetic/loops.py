"""An activation in one pass: a function of one number, compiled into loops over arrays.

The function takes x and the parameters, all floats, and returns f, f′ and f″. Compiled, a loop over it keeps
everything between x and the results in registers, and what leads to a derivative nobody asked for is left
out. NumPy would pass over memory once for each operation, ten to fifty times.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
from numba import types
from numba.np.numpy_support import from_dtype

from app.core.arithmetic import Array, Value
from app.core.arithmetic.compiled import Compiled, full_name
from app.core.arithmetic.double_double import scalar
from app.core.arithmetic.single import in_single

Scalar: TypeAlias = Callable[..., tuple[float, ...]]


class Fused:
    """The loops of one ``function``."""

    def __init__(self, function: Scalar) -> None:
        self._name = full_name(function)
        self._function = scalar(function)
        _, *self._parameters = signature(function).parameters

    def __call__(self, x: Array, rows: Collection[Array], **params: Value) -> None:
        """Writes f(x), f′(x), … into as many ``rows``, each contiguous and one-dimensional like x.

        Parameters are floats or arrays of x's length. All is computed in double precision at least.
        """
        values = [params[name] for name in self._parameters]
        arrays = np.ndarray in map(type, values)
        if arrays:
            values = [np.broadcast_to(value, x.shape).astype(np.float64) for value in values]
        loop = _loop(self._name, self._function, x.dtype, len(rows), len(values), arrays)
        loop(x, *rows, tuple(values))


@cache
def _loop(
    name: str, function: Scalar, dtype: np.dtype[Any], count: int, parameters: int, arrays: bool
) -> Compiled:
    """The loop that writes the first ``count`` orders in x's ``dtype``; its parameters may be ``arrays``."""
    at = _AT[parameters if arrays else 0]
    if dtype == np.float32:
        function = in_single(function)
    number = from_dtype(dtype)
    # A loop for arrays that may be written to would be compiled again for those that may not.
    read, write = types.Array(number, 1, "C", readonly=True), types.Array(number, 1, "C")
    each = types.Array(types.float64, 1, "C") if arrays else types.float64
    params = types.Tuple([each] * parameters)  # type: ignore[no-untyped-call]

    # A float32 is widened by NumPy's type: numba's float() would leave it what it is.
    def one(x: Array, f: Array, params: Any) -> None:
        for i in range(x.size):
            f[i] = function(np.float64(x[i]), *at(params, i))[0]

    def two(x: Array, f: Array, slope: Array, params: Any) -> None:
        for i in range(x.size):
            f[i], slope[i], _ = function(np.float64(x[i]), *at(params, i))

    def three(x: Array, f: Array, slope: Array, curvature: Array, params: Any) -> None:
        for i in range(x.size):
            f[i], slope[i], curvature[i] = function(np.float64(x[i]), *at(params, i))

    return Compiled((one, two, three)[count - 1], [(read, *[write] * count, params)], name)


_AT = [
    scalar(function)
    for function in (
        lambda params, _: params,
        lambda params, i: (params[0][i],),
        lambda params, i: (params[0][i], params[1][i]),
        lambda params, i: (params[0][i], params[1][i], params[2][i]),
    )
]
"""A number's own parameters, by how many of them are arrays."""
