"""ONNX's names."""

from __future__ import annotations

import math

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="onnx",
    title="ONNX",
    project="https://github.com/onnx/onnx",
    versions="1.23",
    sources=("docs/Operators.md",),
    names=(
        FrameworkName("sigmoid", ("Sigmoid",)),
        FrameworkName(
            "clipped_affine",
            ("HardSigmoid",),
            (Argument("alpha", 0.2), Argument("beta", 0.5)),
        ),
        FrameworkName("tanh", ("Tanh",)),
        FrameworkName(
            "clip",
            ("Clip",),
            (Argument("min", -math.inf, of="min_val"), Argument("max", math.inf, of="max_val")),
        ),
        FrameworkName("softsign", ("Softsign",)),
        FrameworkName("arctan", ("Atan",)),
        FrameworkName("linear", ("Identity",), fixed={"slope": 1.0}),
        FrameworkName("relu", ("Relu",)),
        FrameworkName("leaky_relu", ("LeakyRelu",), (Argument("alpha", 0.01, of="negative_slope"),)),
        FrameworkName("prelu", ("PRelu",), (Argument("slope", of="weight"),)),
        FrameworkName(
            "threshold", ("ThresholdedRelu",), (Argument("alpha", 1.0, of="threshold"),), fixed={"value": 0.0}
        ),
        FrameworkName("elu", ("Elu",), (Argument("alpha", 1.0),)),
        FrameworkName(
            "scaled_elu",
            ("Selu",),
            (Argument("alpha", 1.67326319217681884765625), Argument("gamma", 1.05070102214813232421875)),
        ),
        FrameworkName("celu", ("Celu",), (Argument("alpha", 1.0),)),
        FrameworkName("exponential", ("Exp",)),
        FrameworkName("softplus", ("Softplus",), fixed={"beta": 1.0}),
        FrameworkName("swish", ("Swish",), (Argument("alpha", 1.0, of="beta"),)),
        FrameworkName("gelu", ("Gelu",), options={"approximate": "none"}),
        FrameworkName("gelu_tanh", ("Gelu",), options={"approximate": "tanh"}, preferred=False),
        FrameworkName("mish", ("Mish",)),
        FrameworkName("hard_swish", ("HardSwish",)),
        FrameworkName("erf", ("Erf",)),
        FrameworkName(
            "shrink",
            ("Shrink",),
            (Argument("bias", 0.0), Argument("lambd", 0.5)),
        ),
        FrameworkName("softmax", ("Softmax",), axis=("axis", -1)),
        FrameworkName("log_softmax", ("LogSoftmax",), axis=("axis", -1)),
        FrameworkName("hardmax", ("Hardmax",), axis=("axis", -1)),
        FrameworkName("swiglu", ("SwiGLU",), (Argument("alpha", 1.0, of="beta"),)),
    ),
)
