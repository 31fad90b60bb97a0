"""PyTorch's names."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="torch",
    title="PyTorch",
    project="https://github.com/pytorch/pytorch",
    versions="2.13",
    sources=("torch/nn/modules/activation.py", "torch/nn/functional.py"),
    names=(
        FrameworkName("sigmoid", ("Sigmoid", "sigmoid")),
        FrameworkName("log_sigmoid", ("LogSigmoid", "logsigmoid")),
        FrameworkName("hard_sigmoid", ("Hardsigmoid", "hardsigmoid")),
        FrameworkName("tanh", ("Tanh", "tanh")),
        FrameworkName(
            "hard_tanh",
            ("Hardtanh", "hardtanh"),
            (Argument("min_val", -1.0), Argument("max_val", 1.0)),
        ),
        FrameworkName("softsign", ("Softsign", "softsign")),
        FrameworkName("linear", ("Identity",), fixed={"slope": 1.0}),
        FrameworkName("relu", ("ReLU", "relu")),
        FrameworkName("relu6", ("ReLU6", "relu6")),
        FrameworkName("leaky_relu", ("LeakyReLU", "leaky_relu"), (Argument("negative_slope", 0.01),)),
        FrameworkName("prelu", ("PReLU",), (Argument("weight", 0.25),), axis=(None, 1)),
        FrameworkName("prelu", ("prelu",), (Argument("weight"),), axis=(None, 1)),
        FrameworkName(
            "rrelu",
            ("RReLU", "rrelu"),
            (Argument("lower", 1 / 8), Argument("upper", 1 / 3)),
        ),
        FrameworkName(
            "threshold",
            ("Threshold", "threshold"),
            (Argument("threshold"), Argument("value")),
        ),
        FrameworkName("elu", ("ELU", "elu"), (Argument("alpha", 1.0),)),
        FrameworkName("selu", ("SELU", "selu")),
        FrameworkName("celu", ("CELU", "celu"), (Argument("alpha", 1.0),)),
        FrameworkName(
            "softplus_threshold",
            ("Softplus", "softplus"),
            (Argument("beta", 1.0), Argument("threshold", 20.0)),
        ),
        FrameworkName("silu", ("SiLU", "silu")),
        FrameworkName("gelu", ("GELU", "gelu"), options={"approximate": "none"}),
        FrameworkName("gelu_tanh", ("GELU", "gelu"), options={"approximate": "tanh"}, preferred=False),
        FrameworkName("mish", ("Mish", "mish")),
        FrameworkName("hard_swish", ("Hardswish", "hardswish")),
        FrameworkName("hardshrink", ("Hardshrink", "hardshrink"), (Argument("lambd", 0.5),)),
        FrameworkName("softshrink", ("Softshrink", "softshrink"), (Argument("lambd", 0.5),)),
        FrameworkName("tanhshrink", ("Tanhshrink", "tanhshrink")),
        FrameworkName("softmax", ("Softmax", "softmax"), axis=("dim", None)),
        FrameworkName("softmax", ("Softmax2d",), axis=(None, -3)),
        FrameworkName("softmin", ("Softmin", "softmin"), axis=("dim", None)),
        FrameworkName("log_softmax", ("LogSoftmax", "log_softmax"), axis=("dim", None)),
        FrameworkName("glu", ("GLU", "glu"), axis=("dim", -1)),
    ),
)
