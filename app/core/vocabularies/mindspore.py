"""Names in MindSpore: ``mindspore.nn`` and ``mindspore.ops``."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="mindspore",
    title="MindSpore",
    project="https://gitee.com/mindspore/mindspore",
    versions="2.10",
    sources=(
        "mindspore/python/mindspore/nn/layer/activation.py",
        "mindspore/python/mindspore/ops/function/nn_func.py",
    ),
    remarks=(
        "LeakyReLU's slope is 0.2; its documentation announces 0.01 for a version after 2.9, which 2.10 "
        "does not yet have.",
        "The layer GELU is the tanh form by default, the function gelu the erf form.",
        "FastGelu is x·σ(1.702x).",
        "The layer ELU accepts only alpha = 1.",
        "RReLU draws a new slope at every call, in evaluation too; here the slope is the mean.",
        "On the CPU tanh is an approximation, off by up to 1e-4.",
    ),
    names=(
        FrameworkName("sigmoid", ("Sigmoid",)),
        FrameworkName("log_sigmoid", ("LogSigmoid", "logsigmoid")),
        FrameworkName("hard_sigmoid", ("HSigmoid",)),
        FrameworkName("tanh", ("Tanh",)),
        FrameworkName(
            "hard_tanh",
            ("Hardtanh", "hardtanh"),
            (Argument("min_val", -1.0), Argument("max_val", 1.0)),
        ),
        FrameworkName("softsign", ("Softsign", "softsign")),
        FrameworkName("relu", ("ReLU", "relu")),
        FrameworkName("relu6", ("ReLU6",)),
        FrameworkName(
            "leaky_relu", ("LeakyReLU", "leaky_relu"), (Argument("alpha", 0.2, of="negative_slope"),)
        ),
        FrameworkName("prelu", ("PReLU",), (Argument("w", 0.25, of="weight"),), axis=(None, 1)),
        FrameworkName("rrelu", ("RReLU", "rrelu"), (Argument("lower", 1 / 8), Argument("upper", 1 / 3))),
        FrameworkName("threshold", ("Threshold",), (Argument("threshold"), Argument("value"))),
        FrameworkName("threshold", ("threshold",), (Argument("thr", of="threshold"), Argument("value"))),
        FrameworkName("elu", ("ELU",), fixed={"alpha": 1.0}),
        FrameworkName("celu", ("CELU",), (Argument("alpha", 1.0),)),
        FrameworkName("selu", ("SeLU", "selu")),
        FrameworkName(
            "softplus_threshold", ("softplus",), (Argument("beta", 1.0), Argument("threshold", 20.0))
        ),
        FrameworkName("silu", ("SiLU",)),
        FrameworkName("gelu_tanh", ("GELU",), options={"approximate": True}),
        FrameworkName("gelu", ("GELU",), options={"approximate": False}, preferred=False),
        FrameworkName("gelu", ("gelu",), options={"approximate": "none"}),
        FrameworkName("gelu_tanh", ("gelu",), options={"approximate": "tanh"}, preferred=False),
        FrameworkName("quick_gelu", ("FastGelu",)),
        FrameworkName("mish", ("Mish", "mish")),
        FrameworkName("hard_swish", ("HSwish",)),
        FrameworkName("hardshrink", ("HShrink",), (Argument("lambd", 0.5),)),
        FrameworkName("softshrink", ("SoftShrink",), (Argument("lambd", 0.5),)),
        FrameworkName("tanhshrink", ("Tanhshrink", "tanhshrink")),
        FrameworkName("softmax", ("Softmax", "softmax"), axis=("axis", -1)),
        FrameworkName("softmax", ("Softmax2d",), axis=(None, -3)),
        FrameworkName("softmin", ("Softmin", "softmin"), axis=("axis", -1)),
        FrameworkName("log_softmax", ("LogSoftmax",), axis=("axis", -1)),
        FrameworkName("glu", ("GLU", "glu"), axis=("axis", -1)),
    ),
)
