"""Kernels whose results are float32: the arithmetic of pairs, cut to its high parts.

A double has 29 bits more than the result, so that nothing is gained by twice a double's digits, and a third
to a half of a loop's time is lost. A kernel is written once; here it is compiled with other arithmetic under
the same names.
"""

from __future__ import annotations

import math
from functools import cache
from types import FunctionType
from typing import Any

from numba.core.dispatcher import Dispatcher

from app.core.arithmetic import double_double
from app.core.arithmetic.double_double import Pair, scalar

_CUT: dict[Any, Any] = {
    double_double.fast_sum: lambda a, b: Pair(a + b, 0.0),
    double_double.two_sum: lambda a, b: Pair(a + b, 0.0),
    double_double.two_product: lambda a, b: Pair(a * b, 0.0),
    double_double.plus: lambda a, b: Pair(a.high + b, 0.0),
    double_double.total: lambda a, b: Pair(a.high + b.high, 0.0),
    double_double.times: lambda a, b: Pair(a.high * b.high, 0.0),
    double_double.product: lambda a, b: Pair(a.high * b.high, 0.0),
    double_double.rounded: lambda a, b: a.high * b.high,
    double_double.inverse: lambda a: Pair(1 / a.high, 0.0),
    double_double.quotient: lambda a, b: Pair(a.high / b.high, 0.0),
    double_double.square_root: lambda a: Pair(math.sqrt(a.high), 0.0),
}


@cache
def in_single(function: Any) -> Any:
    """``function``, which `scalar` made, with no low parts, and so with everything that it calls."""
    if function in _CUT:
        return scalar(_CUT[function])
    python = function.py_func
    names = dict(python.__globals__)
    called = [name for name in python.__code__.co_names if isinstance(names.get(name), Dispatcher)]
    names.update({name: in_single(names[name]) for name in called})
    return scalar(FunctionType(python.__code__, names, python.__name__, python.__defaults__))
