"""Which function is it?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS
from app.core.evaluation import activate
from app.core.verification.candidates import SHOWN, candidates
from app.core.verification.exact import doubles
from tests.core.verification.planted import Planted, naive_gelu, outputs, single

NAMED = [
    name
    for name, entry in REGISTRY.items()
    if isinstance(entry, Elementwise)
    and len(entry.defaults) == len(entry.parameters)
    and np.isfinite(list(entry.defaults.values())).all()
]
X = (
    np.concatenate([np.linspace(-8, 8, 400), np.geomspace(1e-3, 0.1, 20)])
    .astype(np.float32)
    .astype(np.float64)
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_every_entry_is_found_by_its_values(name: str) -> None:
    call = REGISTRY.resolve(name, {})
    values = doubles(activate(call, X, order=0, dtype=FORMATS["float32"]).orders[0])
    found = candidates(X, values, FORMATS["float32"])
    assert found[0].equal > 0.95  # double precision, rounded
    assert found[0].max_ulp <= 1
    same = [each.function for each in found if each.max_ulp <= 1]
    assert name in same or len(same) == SHOWN  # as many others are the same function
    assert found[0].differs == found[0].apart == 0


@pytest.mark.parametrize(
    ("function", "params", "kernel"),
    [
        ("leaky_relu", {"negative_slope": 0.137}, lambda x: np.where(x > 0, x, 0.137 * x)),
        ("scaled_tanh", {"alpha": 1.7, "beta": 0.6}, lambda x: 1.7 * np.tanh(0.6 * x)),
        ("swish", {"beta": 2.5}, lambda x: x / (1 + np.exp(-2.5 * x))),
        ("celu", {"alpha": 1.3}, lambda x: np.where(x > 0, x, 1.3 * np.expm1(np.minimum(x, 0) / 1.3))),
    ],
)
def test_parameters_are_found(
    function: str, params: dict[str, float], kernel: Callable[[Array], Array]
) -> None:
    with np.errstate(over="ignore"):
        values = kernel(X).astype(np.float32).astype(np.float64)
    found = {each.function: each for each in candidates(X, values, FORMATS["float32"])}
    assert found[function].params == pytest.approx(params, rel=1e-5)


def test_a_faulty_kernel_is_recognised() -> None:
    x, values = outputs(Planted("", "", "float32", None, naive_gelu))
    found = candidates(x, values, FORMATS["float32"])
    assert found[0].function == "gelu"
    assert found[0].max_ulp > 1e6


def test_noise_and_constants_are_no_function() -> None:
    noise = np.random.default_rng(0).normal(size=X.size)
    for values in (noise, np.zeros(X.size), np.full(X.size, np.nan), np.full(X.size, np.inf)):
        assert candidates(X, values, FORMATS["float64"]) == ()


def test_how_far_apart_two_functions_are_in_the_format() -> None:
    exact = single(lambda x: REGISTRY["gelu"].orders(x.astype(np.float64), 1)[0])  # type: ignore[attr-defined]
    x, values = outputs(Planted("", "", "bfloat16", None, exact))
    first, second, *_ = candidates(x, values, FORMATS["bfloat16"])
    assert (first.function, second.function) == ("gelu", "gelu_tanh")
    assert 0 < second.differs < 0.05
    assert second.apart > 10
