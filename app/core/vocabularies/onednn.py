"""Names in oneDNN: the algorithms of its eltwise primitive, without ``dnnl_eltwise_``."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="onednn",
    title="oneDNN",
    project="https://github.com/uxlfoundation/oneDNN",
    versions="3.14 (commit 3f27bec2)",
    sources=(
        "doc/functional_api/primitives/eltwise.md",
        "src/common/math_utils.hpp",
        "include/oneapi/dnnl/dnnl.hpp",
    ),
    remarks=(
        "A constructor without alpha and beta passes 0 for both. relu is used so; the others demand them "
        "here.",
        "clip and clip_v2 are one function and differ in their slope at β: 1 in clip, 0 in clip_v2. The "
        "slope answered here is clip_v2's.",
        "soft_relu with alpha −1 is the logarithm of the sigmoid.",
        "gelu_tanh holds √(2/π) as 0.79788458347320556640625, gelu_erf 1/√2 as 0.707106769084930419921875.",
    ),
    names=(
        FrameworkName("leaky_relu", ("relu",), (Argument("alpha", 0.0, of="negative_slope"),)),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("elu", ("elu",), (Argument("alpha"),)),
        FrameworkName("softplus", ("soft_relu",), (Argument("alpha", of="beta"),)),
        FrameworkName("sigmoid", ("logistic",)),
        FrameworkName("exponential", ("exp",)),
        FrameworkName("clipped_affine", ("hardsigmoid",), (Argument("alpha"), Argument("beta"))),
        FrameworkName("swish", ("swish",), (Argument("alpha", of="beta"),)),
        FrameworkName("gelu", ("gelu_erf",)),
        FrameworkName("gelu_tanh", ("gelu_tanh",)),
        FrameworkName("mish", ("mish",)),
        FrameworkName(
            "hard_tanh",
            ("clip", "clip_v2"),
            (Argument("alpha", of="min_val"), Argument("beta", of="max_val")),
        ),
        FrameworkName(
            "affine", ("linear",), (Argument("alpha", of="slope"), Argument("beta", of="intercept"))
        ),
    ),
)
