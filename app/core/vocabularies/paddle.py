"""Names in PaddlePaddle: ``paddle.nn`` and ``paddle.nn.functional``."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="paddle",
    title="PaddlePaddle",
    project="https://github.com/PaddlePaddle/Paddle",
    versions="3.3",
    sources=(
        "python/paddle/nn/functional/activation.py",
        "python/paddle/nn/layer/activation.py",
        "python/paddle/tensor/ops.py",
        "python/paddle/tensor/math.py",
    ),
    remarks=(
        "hardsigmoid's slope is the decimal 0.1666667, not 1/6; fluid.layers.hard_sigmoid of 1.x had 0.2.",
        "rrelu draws its slope in training and takes the mean in evaluation, as here.",
    ),
    names=(
        FrameworkName("sigmoid", ("Sigmoid", "sigmoid")),
        FrameworkName("log_sigmoid", ("LogSigmoid", "log_sigmoid")),
        FrameworkName(
            "clipped_affine",
            ("hardsigmoid",),
            (Argument("slope", 0.1666667, of="alpha"), Argument("offset", 0.5, of="beta")),
        ),
        FrameworkName("clipped_affine", ("Hardsigmoid",), fixed={"alpha": 0.1666667, "beta": 0.5}),
        FrameworkName("tanh", ("Tanh", "tanh")),
        FrameworkName(
            "hard_tanh",
            ("Hardtanh", "hardtanh"),
            (Argument("min", -1.0, of="min_val"), Argument("max", 1.0, of="max_val")),
        ),
        FrameworkName("softsign", ("Softsign", "softsign")),
        FrameworkName("linear", ("Identity",), fixed={"slope": 1.0}),
        FrameworkName("relu", ("ReLU", "relu")),
        FrameworkName("relu6", ("ReLU6", "relu6")),
        FrameworkName("leaky_relu", ("LeakyReLU", "leaky_relu"), (Argument("negative_slope", 0.01),)),
        FrameworkName("prelu", ("PReLU",), (Argument("init", 0.25, of="weight"),), axis=(None, 1)),
        FrameworkName("prelu", ("prelu",), (Argument("weight"),), axis=(None, 1)),
        FrameworkName("rrelu", ("RReLU", "rrelu"), (Argument("lower", 1 / 8), Argument("upper", 1 / 3))),
        FrameworkName(
            "threshold",
            ("ThresholdedReLU", "thresholded_relu"),
            (Argument("threshold", 1.0), Argument("value", 0.0)),
        ),
        FrameworkName("maxout", ("Maxout", "maxout"), (Argument("groups", of="pieces"),), axis=("axis", 1)),
        FrameworkName("elu", ("ELU", "elu"), (Argument("alpha", 1.0),)),
        FrameworkName("celu", ("CELU", "celu"), (Argument("alpha", 1.0),)),
        FrameworkName(
            "scaled_elu",
            ("SELU", "selu"),
            (
                Argument("scale", 1.0507009873554804934193349852946, of="gamma"),
                Argument("alpha", 1.6732632423543772848170429916717),
            ),
        ),
        FrameworkName("exponential", ("exp",)),
        FrameworkName(
            "softplus_threshold",
            ("Softplus", "softplus"),
            (Argument("beta", 1.0), Argument("threshold", 20.0)),
        ),
        FrameworkName("silu", ("Silu", "silu", "Swish", "swish")),
        FrameworkName("gelu", ("GELU", "gelu"), options={"approximate": False}),
        FrameworkName("gelu_tanh", ("GELU", "gelu"), options={"approximate": True}, preferred=False),
        FrameworkName("mish", ("Mish", "mish")),
        FrameworkName("hard_swish", ("Hardswish", "hardswish")),
        FrameworkName("erf", ("erf",)),
        FrameworkName("hardshrink", ("Hardshrink", "hardshrink"), (Argument("threshold", 0.5, of="lambd"),)),
        FrameworkName("softshrink", ("Softshrink", "softshrink"), (Argument("threshold", 0.5, of="lambd"),)),
        FrameworkName("tanhshrink", ("Tanhshrink", "tanhshrink")),
        FrameworkName("softmax", ("Softmax", "softmax"), axis=("axis", -1)),
        FrameworkName("softmax", ("Softmax2D",), axis=(None, -3)),
        FrameworkName("log_softmax", ("LogSoftmax", "log_softmax"), axis=("axis", -1)),
        FrameworkName("glu", ("GLU", "glu"), axis=("axis", -1)),
        FrameworkName("swiglu", ("swiglu",), fixed={"beta": 1.0}),
        FrameworkName(
            "scaled_tanh",
            ("stanh",),
            (Argument("scale_a", 0.67, of="beta"), Argument("scale_b", 1.7159, of="alpha")),
        ),
    ),
)
