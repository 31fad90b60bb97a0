"""A prefixed name reproduces its framework: name, parameters, defaults, formula and derivative.

The frameworks are the less accurate side, so the tolerances are their own relative errors: 1e-7 in float64,
since PyTorch's kernels keep constants such as 1/6 in float32, and 1e-5 in float32 (Keras, ONNX's reference
evaluator and most of the others).
"""

from __future__ import annotations

import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.activations.parameters import Integers
from app.core.activations.registry import Binding
from app.core.evaluation import activate
from tests.peers.frameworks import FRAMEWORKS
from tests.peers.remote import KINDS, Remote

pytestmark = pytest.mark.peers

BINDINGS = [
    pytest.param(binding, spelling, id=f"{binding.vocabulary.framework}:{spelling}-{entry}")
    for entry in REGISTRY
    for binding in REGISTRY.bindings(entry)
    for spelling in binding.name.names
    if binding.vocabulary.framework in {*FRAMEWORKS, *KINDS}
]
assert BINDINGS

TOLERANCE = {"float64": (1e-7, 1e-9), "float32": (1e-5, 4e-6)}
"""Relative and absolute."""

COVERAGE = {
    "torch": """
        Threshold ReLU RReLU Hardtanh ReLU6 Sigmoid Hardsigmoid Tanh SiLU Mish Hardswish ELU CELU SELU GLU
        GELU Hardshrink LeakyReLU LogSigmoid Softplus Softshrink PReLU Softsign Tanhshrink Softmin Softmax
        LogSoftmax""",
    "jax": """
        identity relu relu6 leaky_relu elu celu selu gelu glu silu swish mish sigmoid hard_sigmoid hard_silu
        hard_swish hard_tanh log_sigmoid softplus soft_sign squareplus sparse_plus sparse_sigmoid softmax
        log_softmax tanh""",
    "keras": """
        relu leaky_relu relu6 softmax celu elu selu softplus softsign squareplus soft_shrink sparse_plus
        silu gelu glu tanh tanh_shrink threshold sigmoid sparse_sigmoid exponential hard_sigmoid hard_silu
        hard_tanh hard_shrink linear mish log_softmax log_sigmoid sparsemax swish hard_swish""",
    "onnx": """
        Celu Clip Elu Erf Gelu HardSigmoid HardSwish Hardmax LeakyRelu LogSoftmax Mish PRelu Relu Selu
        Shrink Sigmoid Softmax Softplus Softsign Swish SwiGLU Tanh ThresholdedRelu""",
}
"""The activations of each framework, as its own documentation lists them."""


KNOWN_FAULTS = {"keras:sparsemax": "its threshold sums cumulative sums: its rows do not sum to 1"}
"""Where a framework's code differs from its own documentation; we follow the documentation."""


APPROXIMATE = {
    "mindspore:Tanh": 2e-4,
    "mindspore:Tanhshrink": 2e-4,
    "mindspore:tanhshrink": 2e-4,
    "paddle:Hardsigmoid": 1e-8,
    "paddle:hardsigmoid": 1e-8,
}
"""Absolute errors of kernels that are less accurate than their formula: MindSpore's tanh on the CPU, and
Paddle's hard sigmoid, whose slope is a float32."""

RANDOM = {"mindspore:RReLU", "mindspore:rrelu"}
"""Functions whose framework draws the slope in evaluation too, between the bounds; we take their mean."""


BELOW = {"transformers:xielu": (("beta", "alpha_n_init"),)}
"""Arguments that a framework takes only in ascending order: it stores the logarithm of their difference."""


@cache
def framework(name: str) -> Any:
    """The framework to compare with, or the ImportError for which its tests are skipped."""
    try:
        return FRAMEWORKS[name]() if name in FRAMEWORKS else Remote(name)
    except ImportError as error:
        return error


def peer_of(binding: Binding) -> Any:
    found = framework(binding.vocabulary.framework)
    if isinstance(found, ImportError):
        pytest.skip(f"{binding.vocabulary.title} cannot be loaded here: {found}")
    return found


def required(binding: Binding) -> dict[str, float]:
    """A value for every required argument: the middle of its typical range."""
    typical = {
        each.name: 2 if isinstance(each.domain, Integers) else sum(each.typical) / 2
        for each in binding.activation.parameters
    }
    return {each.name: typical[each.parameter] for each in binding.name.arguments if each.default is None}


def drawn(binding: Binding) -> dict[str, float]:
    """A random value for every argument, other than its default."""
    entry, name = binding.activation, binding.name
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    typical = {each.name: each.typical for each in entry.parameters}
    # Rounded to float32, so that a framework that stores float32 has the same number.
    values = [float(np.float32(rng.uniform(*typical[each.parameter]))) for each in name.arguments]
    ordered = sorted(values) if entry.constraints else values  # a lower bound stays below an upper one
    found = {each.name: value for each, value in zip(name.arguments, ordered, strict=True)}
    for low, high in BELOW.get(binding.spellings[0], ()):
        found[low], found[high] = sorted((found[low], found[high]))
    return found


def points(binding: Binding) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(binding.activation.name.encode()) + 1)
    images = binding.name.axis is not None and binding.name.axis[1] not in {-1, 0}
    return (
        (3 * rng.standard_normal((2, 6, 4, 2) if images else (16, 6))).astype(np.float32).astype(np.float64)
    )


def axis_argument(binding: Binding) -> dict[str, int]:
    name = binding.name
    return {name.axis[0]: -1} if name.axis is not None and name.axis[0] is not None else {}


def compare(binding: Binding, spelling: str, arguments: dict[str, Any]) -> None:
    peer = peer_of(binding)
    theirs = {**arguments, **binding.name.options, **axis_argument(binding)}
    prefixed = f"{binding.vocabulary.framework}:{spelling}"
    call = REGISTRY.resolve(prefixed, theirs)
    assert call.activation is binding.activation
    x = points(binding)
    ours = activate(call, x, order=0).orders[0]
    if prefixed in KNOWN_FAULTS:
        assert not np.allclose(peer.apply(spelling, theirs)(x), ours), "the fault is fixed: remove it here"
        return
    if prefixed in RANDOM:
        slopes = (peer.apply(spelling, theirs)(x) / x)[x < 0]
        assert ((slopes > call.scalars["lower"] - 1e-6) & (slopes < call.scalars["upper"] + 1e-6)).all()
        return
    relative, absolute = TOLERANCE[peer.dtype]
    absolute = APPROXIMATE.get(prefixed, absolute)
    np.testing.assert_allclose(peer.apply(spelling, theirs)(x), ours, rtol=relative, atol=absolute)
    differentiate = peer.differentiate(spelling, theirs)
    if differentiate is None:
        return
    upstream = np.random.default_rng(0).standard_normal(ours.shape)
    gradient = activate(call, x, upstream=upstream).input_gradient
    assert gradient is not None
    np.testing.assert_allclose(differentiate(x, upstream), gradient, rtol=relative, atol=absolute)


@pytest.mark.parametrize(("binding", "spelling"), BINDINGS)
def test_defaults(binding: Binding, spelling: str) -> None:
    compare(binding, spelling, required(binding))


@pytest.mark.parametrize(("binding", "spelling"), BINDINGS)
def test_arguments(binding: Binding, spelling: str) -> None:
    if isinstance(binding.activation, Elementwise) and binding.name.arguments:
        compare(binding, spelling, drawn(binding))


@pytest.mark.parametrize(("binding", "spelling"), BINDINGS)
def test_defaults_are_the_signature_s(binding: Binding, spelling: str) -> None:
    peer = peer_of(binding)
    theirs = peer.defaults(spelling)
    number = np.dtype(peer.dtype).type  # ONNX keeps its defaults in float32: there 0.2 is 0.2000000029…
    for argument in binding.name.arguments:
        if argument.name in theirs and theirs[argument.name] is not None:
            assert number(argument.default) == pytest.approx(number(theirs[argument.name]), rel=1e-15, abs=0)
        elif argument.name in theirs:
            assert argument.default is None


@pytest.mark.parametrize("name", COVERAGE)
def test_everything_a_framework_ships_is_here(name: str) -> None:
    missing = {each for each in COVERAGE[name].split() if f"{name}:{each}" not in REGISTRY.framework_names}
    assert not missing
