"""Properties of every vocabulary, and known differences between frameworks."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

import app.core.vocabularies as package
from app.core.activations import REGISTRY
from app.core.vocabularies import VOCABULARIES
from app.core.vocabularies.vocabulary import FrameworkName, Vocabulary

FILES = {
    path.stem
    for path in Path(package.__path__[0]).glob("*.py")
    if path.stem not in {"__init__", "vocabulary"}
}
NAMES = [(vocabulary, name) for vocabulary in VOCABULARIES for name in vocabulary]
DEFAULTS = [
    (vocabulary, name, argument.parameter, argument.default)
    for vocabulary, name in NAMES
    for argument in name.arguments
    if argument.default is not None
]
FIXED = [(vocabulary, name, *each) for vocabulary, name in NAMES for each in name.fixed.items()]
assert NAMES
assert DEFAULTS
assert FIXED

everywhere = pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda each: each.framework)
every_name = pytest.mark.parametrize(
    ("vocabulary", "name"), NAMES, ids=[f"{each.framework}-{name.names[0]}" for each, name in NAMES]
)


def test_every_file_is_a_vocabulary_called_like_its_prefix() -> None:
    assert {each.framework for each in VOCABULARIES} == FILES
    assert len(VOCABULARIES) == len(FILES)
    for vocabulary in VOCABULARIES:
        assert getattr(package, vocabulary.framework).VOCABULARY is vocabulary


@everywhere
def test_version_and_source_are_stated(vocabulary: Vocabulary) -> None:
    assert vocabulary.title
    assert re.match(r"https://[a-z.]+/[\w.-]+/[\w.-]+$", vocabulary.project), vocabulary.project
    assert re.search(r"\d", vocabulary.versions)
    assert vocabulary.sources
    assert all(re.search(r"\.[a-z]+$|/$", source) for source in vocabulary.sources)
    assert all(remark.endswith(".") for remark in vocabulary.remarks)
    assert vocabulary.names


@everywhere
def test_no_spelling_is_given_twice_but_by_switches(vocabulary: Vocabulary) -> None:
    signatures = [(spelling, *sorted(name.options.items())) for name in vocabulary for spelling in name.names]
    assert len(set(signatures)) == len(signatures)
    for spelling in {spelling for name in vocabulary for spelling in name.names}:
        preferred = [name for name in vocabulary if spelling in name.names and name.preferred]
        assert len(preferred) == 1, spelling


@every_name
def test_every_name_resolves_to_its_entry(vocabulary: Vocabulary, name: FrameworkName) -> None:
    typical = {each.name: each.typical for each in REGISTRY[name.activation].parameters}
    demanded = {
        each.name: float(round(sum(typical[each.parameter]) / 2)) or 1.0
        for each in name.arguments
        if each.default is None
    }
    given: dict[str, Any] = {**demanded, **name.options}
    for spelling in name.names:
        call = REGISTRY.resolve(f"{vocabulary.framework}:{spelling}", given)
        assert call.activation is REGISTRY[name.activation]
        if name.preferred:
            assert (
                REGISTRY.resolve(f"{vocabulary.framework}:{spelling}", demanded).activation is call.activation
            )


@every_name
def test_parameters_are_named_once_and_set_once(vocabulary: Vocabulary, name: FrameworkName) -> None:
    assert len(set(name.own_parameters)) == len(name.own_parameters), vocabulary.framework
    ours = [each.parameter for each in name.arguments] + [*name.fixed]
    assert len(set(ours)) == len(ours)
    # What the framework neither names nor fixes would silently be a default of ours.
    entry = REGISTRY[name.activation]
    left = {each.name for each in entry.parameters if each.required or each.default is not None} - set(ours)
    assert not left


@pytest.mark.parametrize(("vocabulary", "name", "parameter", "value"), [*DEFAULTS, *FIXED])
def test_defaults_lie_in_the_domain(
    vocabulary: Vocabulary, name: FrameworkName, parameter: str, value: float
) -> None:
    domains = {each.name: each.domain for each in REGISTRY[name.activation].parameters}
    assert domains[parameter].contains(value), vocabulary.framework


# What frameworks disagree about, from their own documentation and source: name, parameters given, the
# entry and its parameters.

_ONNX_SELU = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
_ROUNDED_SELU = {"alpha": 1.67326, "gamma": 1.0507}
_CUT = {"value": 0.0}

DIFFERENCES: list[tuple[str, dict[str, Any], str, dict[str, float]]] = [
    # What gated units clamp, and where; the form of their gate
    ("vllm:swigluoai_and_mul", {}, "swiglu_oai", {"alpha": 1.702, "limit": 7.0}),
    ("vllm:SwigluStepAndMul", {}, "swiglu_step", {"limit": 7.0}),
    (
        "vllm:SiluAndMulWithClamp",
        {"swiglu_limit": 10.0},
        "clamped_swiglu",
        {"limit": 10.0, "alpha": 1.0, "offset": 0.0},
    ),
    (
        "ggml:SWIGLU_OAI",
        {"alpha": 1.702, "limit": 7.0},
        "clamped_swiglu",
        {"limit": 7.0, "alpha": 1.702, "offset": 1.0},
    ),
    ("ggml:GEGLU", {}, "geglu_tanh", {}),
    ("vllm:gelu_and_mul", {}, "geglu", {}),
    ("vllm:gelu_and_mul", {"approximate": "tanh"}, "geglu_tanh", {}),
    ("vllm:fatrelu_and_mul", {}, "gated_fatrelu", {"threshold": 0.0}),
    (
        "transformers:xielu",
        {},
        "xielu",
        {"alpha_p": 0.8, "alpha_n": 0.8, "beta": 0.5, "eps": -1e-6},
    ),
    # The slope of Leaky ReLU, and the initial one of PReLU
    ("torch:LeakyReLU", {}, "leaky_relu", {"negative_slope": 0.01}),
    ("jax:leaky_relu", {}, "leaky_relu", {"negative_slope": 0.01}),
    ("keras:leaky_relu", {}, "leaky_relu", {"negative_slope": 0.2}),
    ("keras:LeakyReLU", {}, "leaky_relu", {"negative_slope": 0.3}),
    ("keras2:LeakyReLU", {}, "leaky_relu", {"negative_slope": 0.3}),
    ("onnx:LeakyRelu", {}, "leaky_relu", {"negative_slope": 0.01}),
    ("mindspore:LeakyReLU", {}, "leaky_relu", {"negative_slope": 0.2}),
    ("mindspore:leaky_relu", {}, "leaky_relu", {"negative_slope": 0.2}),
    ("tinygrad:leaky_relu", {"neg_slope": 0.5}, "leaky_relu", {"negative_slope": 0.5}),
    ("onednn:relu", {}, "leaky_relu", {"negative_slope": 0.0}),
    ("torch:PReLU", {}, "prelu", {"weight": 0.25}),
    ("keras:PReLU", {}, "prelu", {"weight": 0.0}),
    ("mlx:PReLU", {}, "prelu", {"weight": 0.25}),
    # GELU's default form
    ("torch:gelu", {}, "gelu", {}),
    ("jax:gelu", {}, "gelu_tanh", {}),
    ("keras:gelu", {}, "gelu", {}),
    ("onnx:Gelu", {"approximate": "tanh"}, "gelu_tanh", {}),
    ("tinygrad:gelu", {}, "gelu_tanh", {}),
    ("tinygrad:gelu", {"approximate": "none"}, "gelu", {}),
    ("nnlib:gelu", {}, "gelu_tanh", {}),
    ("nnlib:gelu_sigmoid", {}, "gelu_tanh", {}),
    ("ggml:gelu", {}, "gelu_tanh", {}),
    ("ggml:GELU_ERF", {}, "gelu", {}),
    ("ggml:GELU_QUICK", {}, "quick_gelu", {}),
    ("candle:gelu", {}, "gelu", {}),
    ("mlx:gelu", {}, "gelu", {}),
    ("mlx:GELU", {"approx": "precise"}, "gelu_tanh", {}),
    ("mlx:GELU", {"approx": "fast"}, "quick_gelu", {}),
    ("mindspore:GELU", {}, "gelu_tanh", {}),
    ("mindspore:gelu", {}, "gelu", {}),
    ("coreml:gelu", {"mode": "SIGMOID_APPROXIMATION"}, "quick_gelu", {}),
    ("webnn:gelu", {}, "gelu", {}),
    ("transformers:gelu_new", {}, "gelu_tanh", {}),
    ("transformers:gelu", {}, "gelu", {}),
    # Hard sigmoid's slope
    ("torch:Hardsigmoid", {}, "hard_sigmoid", {}),
    ("keras:hard_sigmoid", {}, "hard_sigmoid", {}),
    ("keras2:hard_sigmoid", {}, "clipped_affine", {"alpha": 0.2, "beta": 0.5}),
    ("onnx:HardSigmoid", {}, "clipped_affine", {"alpha": 0.2, "beta": 0.5}),
    ("webnn:hardSigmoid", {}, "clipped_affine", {"alpha": 0.2, "beta": 0.5}),
    ("tensorrt:HARD_SIGMOID", {}, "clipped_affine", {"alpha": 0.2, "beta": 0.5}),
    ("paddle:hardsigmoid", {}, "clipped_affine", {"alpha": 0.1666667, "beta": 0.5}),
    ("paddle:Hardsigmoid", {}, "clipped_affine", {"alpha": 0.1666667, "beta": 0.5}),
    ("tinygrad:hardsigmoid", {}, "clipped_affine", {"alpha": 1 / 6, "beta": 0.5}),
    # Softplus: with a threshold, plain, or with a steepness
    ("torch:Softplus", {}, "softplus_threshold", {"beta": 1.0, "threshold": 20.0}),
    ("ggml:softplus", {}, "softplus_threshold", {"beta": 1.0, "threshold": 20.0}),
    ("jax:softplus", {}, "softplus", {"beta": 1.0}),
    ("tinygrad:softplus", {"beta": 2.0}, "softplus", {"beta": 2.0}),
    ("onednn:soft_relu", {"alpha": 3.0}, "softplus", {"beta": 3.0}),
    ("directml:SOFTPLUS", {"steepness": 3.0}, "softplus", {"beta": 3.0}),
    # Rounded constants
    ("torch:SELU", {}, "selu", {}),
    ("onnx:Selu", {}, "scaled_elu", _ONNX_SELU),
    ("directml:SCALED_ELU", {}, "scaled_elu", _ONNX_SELU),
    ("tensorrt:SELU", {}, "scaled_elu", _ONNX_SELU),
    ("mlx:selu", {}, "scaled_elu", _ROUNDED_SELU),
    ("tinygrad:selu", {}, "scaled_elu", _ROUNDED_SELU),
    # Thresholds, shrinks, bounds
    ("onnx:ThresholdedRelu", {}, "threshold", {"threshold": 1.0, **_CUT}),
    ("nnlib:trelu", {}, "threshold", {"threshold": 1.0, **_CUT}),
    ("keras2:ThresholdedReLU", {}, "threshold", {"threshold": 1.0, **_CUT}),
    ("paddle:thresholded_relu", {}, "threshold", {"threshold": 1.0, **_CUT}),
    ("directml:SHRINK", {}, "shrink", {"bias": 0.0, "lambd": 0.5}),
    ("keras:soft_shrink", {"threshold": 0.75}, "softshrink", {"lambd": 0.75}),
    ("tflite:RELU_N1_TO_1", {}, "hard_tanh", {"min_val": -1.0, "max_val": 1.0}),
    ("tflite:RELU_0_TO_1", {}, "hard_tanh", {"min_val": 0.0, "max_val": 1.0}),
    ("webnn:clamp", {"minValue": -2.0}, "hard_tanh", {"min_val": -2.0, "max_val": math.inf}),
    ("onednn:clip_v2", {"alpha": 0.0, "beta": 6.0}, "hard_tanh", {"min_val": 0.0, "max_val": 6.0}),
    # Swish's steepness
    ("onnx:Swish", {}, "swish", {"beta": 1.0}),
    ("onednn:swish", {"alpha": 1.702}, "swish", {"beta": 1.702}),
    ("cudnn:SWISH_FWD", {}, "swish", {"beta": 1.0}),
    # Which half gates
    ("torch:GLU", {}, "glu", {}),
    ("vllm:silu_and_mul", {}, "swiglu", {"beta": 1.0}),
    ("candle:swiglu", {}, "swiglu", {"beta": 1.0}),
    ("timm:SwiGLUPacked", {}, "swiglu", {"beta": 1.0}),
    ("timm:GluMlp", {}, "glu", {}),
    # What few have
    ("timm:StarReLU", {}, "star_relu", {"scale": 1.0, "bias": 0.0}),
    ("timm:hard_mish", {}, "hard_mish", {}),
    ("transformers:laplace", {}, "laplace", {"mu": 0.707107, "sigma": 0.282095}),
    ("mlx:step", {}, "binary_step", {"threshold": 0.0}),
    ("ggml:step", {}, "step", {}),
    ("directml:SCALED_TANH", {}, "scaled_tanh", {"alpha": 1.0, "beta": 0.5}),
    ("tensorrt:SCALED_TANH", {}, "scaled_tanh", {"alpha": 1.0, "beta": 1.0}),
    ("paddle:stanh", {}, "scaled_tanh", {"alpha": 1.7159, "beta": 0.67}),
    ("tensorrt:SOFTPLUS", {"alpha": 2.0, "beta": 3.0}, "parametric_softplus", {"alpha": 2.0, "beta": 3.0}),
    ("webnn:linear", {}, "affine", {"slope": 1.0, "intercept": 0.0}),
    ("coreml:clamped_relu", {"alpha": 0.1, "beta": 1.0}, "clamped_relu", {"alpha": 0.1, "beta": 1.0}),
]


@pytest.mark.parametrize(
    ("name", "given", "entry", "params"), DIFFERENCES, ids=[row[0] for row in DIFFERENCES]
)
def test_where_frameworks_differ(
    name: str, given: dict[str, Any], entry: str, params: dict[str, float]
) -> None:
    call = REGISTRY.resolve(name, given)
    assert call.activation.name == entry
    assert call.params == params
