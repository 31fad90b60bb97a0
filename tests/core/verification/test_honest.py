"""No cause is found where there is none: functions that are wrong in a way no kernel is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.arithmetic.formats import round_to
from app.core.jobs import ignore
from app.core.verification.exact import doubles
from app.core.verification.job import Verification
from tests.core.verification.planted import BF16, F16, F32, Numbers, gelu, sigmoid, silu, softplus
from tests.core.verification.planted_public import double, drawn, every

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "silu": silu,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "gelu": gelu,
    "softplus": softplus,
}


def power(values: Any) -> Any:
    return np.sign(values) * np.abs(values) ** 1.01


WRONG: dict[str, Callable[[Callable[[Any], Any]], Callable[[Any], Any]]] = {
    "power": lambda function: lambda x: power(function(x)),
    "inputs moved": lambda function: lambda x: function(x + 0.01 * np.tanh(x)),
    "a bump": lambda function: lambda x: function(x) + 0.001 * x * np.exp(-x * x),
    "inputs stretched": lambda function: lambda x: function(x * (1 + 0.01 * np.exp(-x * x))),
}


@pytest.mark.parametrize("dtype", [F32, F16, BF16], ids=lambda each: str(np.dtype(each)))
@pytest.mark.parametrize("way", WRONG)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_smooth_error_is_no_table_and_no_approximation(function: str, way: str, dtype: Any) -> None:
    x: Numbers = (drawn(1) if dtype is F32 else every(dtype))()
    with np.errstate(all="ignore"):
        said = doubles(round_to(WRONG[way](FUNCTIONS[function])(double(x)), np.dtype(dtype)))
    call = REGISTRY.resolve(function, {})
    report = Verification(call, np.dtype(dtype), doubles(x), (said, None, None))(map, ignore)
    assert report.verdict.state == "faulty"
    assert not {each.cause for each in report.causes} & {"table", "approximation", "other_variant"}
