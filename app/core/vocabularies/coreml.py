"""Names in Core ML's model intermediate language (MIL)."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="coreml",
    title="Core ML (MIL)",
    project="https://github.com/apple/coremltools",
    versions="9.1 (operators of iOS 15 to 17)",
    sources=(
        "coremltools/converters/mil/mil/ops/defs/iOS15/activation.py",
        "coremltools/converters/mil/mil/ops/defs/iOS15/elementwise_unary.py",
        "coremltools/converters/mil/mil/ops/defs/iOS17/activation.py",
    ),
    remarks=("alpha and beta are required throughout.",),
    names=(
        FrameworkName("relu", ("relu",)),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName("leaky_relu", ("leaky_relu",), (Argument("alpha", of="negative_slope"),)),
        FrameworkName("prelu", ("prelu",), (Argument("alpha", of="weight"),), axis=(None, 1)),
        FrameworkName("elu", ("elu",), (Argument("alpha"),)),
        FrameworkName("gelu", ("gelu",), options={"mode": "EXACT"}),
        FrameworkName("gelu_tanh", ("gelu",), options={"mode": "TANH_APPROXIMATION"}, preferred=False),
        FrameworkName("quick_gelu", ("gelu",), options={"mode": "SIGMOID_APPROXIMATION"}, preferred=False),
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("clipped_affine", ("sigmoid_hard",), (Argument("alpha"), Argument("beta"))),
        FrameworkName("silu", ("silu",)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("erf", ("erf",)),
        FrameworkName("exponential", ("exp",)),
        FrameworkName("arctan", ("atan",)),
        FrameworkName(
            "hard_tanh", ("clip",), (Argument("alpha", of="min_val"), Argument("beta", of="max_val"))
        ),
        FrameworkName("softmax", ("softmax",), axis=("axis", -1)),
        FrameworkName("clamped_relu", ("clamped_relu",), (Argument("alpha"), Argument("beta"))),
        FrameworkName(
            "affine",
            ("linear_activation",),
            (Argument("alpha", of="slope"), Argument("beta", of="intercept")),
        ),
        FrameworkName("scaled_tanh", ("scaled_tanh",), (Argument("alpha"), Argument("beta"))),
        FrameworkName(
            "parametric_softplus",
            ("softplus_parametric",),
            (Argument("alpha"), Argument("beta")),
            axis=(None, 1),
        ),
    ),
)
