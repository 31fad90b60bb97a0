"""Scaled numbers have three doubles, whichever function made them.

Numba joins unlike types within one expression, but not those of a function's returns, of which Python 3.13
makes several out of one choice: an exponent that is an integer compiles on one version and not on another.
"""

from __future__ import annotations

import inspect

import pytest
from numba import typeof, types
from numba.core.dispatcher import Dispatcher

from app.core.arithmetic import double_double, functions, scaled
from app.core.arithmetic.double_double import DoubleDouble, Scaled

GIVEN = {
    "Scaled": Scaled(1.25, 0.0, 3.0),
    "DoubleDouble": DoubleDouble(0.75, 0.0),
    "float": 0.5,
    "bool": True,
    "int": 1,
}
MADE = {
    f"{module.__name__.rpartition('.')[2]}.{name}": function
    for module in (scaled, double_double, functions)
    for name, function in vars(module).items()
    if isinstance(function, Dispatcher) and function.py_func.__annotations__.get("return") == "Scaled"
}


@pytest.mark.parametrize("name", sorted(MADE))
def test_three_doubles(name: str) -> None:
    function = MADE[name]
    parameters = inspect.signature(function.py_func).parameters.values()
    given = tuple(typeof(GIVEN[each.annotation]) for each in parameters)  # type: ignore[no-untyped-call]
    function.get_call_template(given, {})  # compiles it, without a call
    assert function.nopython_signatures
    for signature in function.nopython_signatures:
        assert set(signature.return_type.types) == {types.float64}


def test_there_are_such_functions() -> None:
    assert len(MADE) > 10
