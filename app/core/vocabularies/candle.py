"""Names in candle: the variants of ``candle_nn::Activation``, their spellings in a file, and functions."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="candle",
    title="candle",
    project="https://github.com/huggingface/candle",
    versions="0.11 (commit 2a13b0f3)",
    sources=(
        "candle-nn/src/activation.rs",
        "candle-nn/src/ops.rs",
        "candle-core/src/op.rs",
    ),
    remarks=(
        "gelu here is Activation::Gelu, the erf form; the method Tensor::gelu is the tanh form, and "
        "Tensor::gelu_erf the erf form.",
        "Elu, LeakyRelu and selu have no default parameters.",
    ),
    names=(
        FrameworkName("gelu", ("Gelu", "gelu", "gelu_erf")),
        FrameworkName("gelu_tanh", ("NewGelu", "gelu_new", "GeluPytorchTanh", "gelu_pytorch_tanh")),
        FrameworkName("relu", ("Relu", "relu")),
        FrameworkName("squared_relu", ("Relu2", "relu2")),
        FrameworkName("relu6", ("Relu6", "relu6")),
        FrameworkName("silu", ("Silu", "silu", "Swish", "swish")),
        FrameworkName("sigmoid", ("Sigmoid", "sigmoid")),
        FrameworkName("hard_sigmoid", ("HardSigmoid", "hardsigmoid", "hard_sigmoid")),
        FrameworkName("swiglu", ("Swiglu", "swiglu"), fixed={"beta": 1.0}),
        FrameworkName("mish", ("Mish", "mish")),
        FrameworkName("hard_swish", ("HardSwish", "hardswish")),
        FrameworkName("elu", ("Elu", "elu"), (Argument("alpha"),)),
        FrameworkName("leaky_relu", ("LeakyRelu", "leaky_relu"), (Argument("negative_slope"),)),
        FrameworkName("scaled_elu", ("selu",), (Argument("alpha"), Argument("gamma"))),
        FrameworkName("prelu", ("PReLU", "prelu"), (Argument("weight", 0.25),), axis=(None, 1)),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("erf", ("erf",)),
        FrameworkName("exponential", ("exp",)),
        FrameworkName("softmax", ("softmax",), axis=("dim", -1)),
        FrameworkName("softmax", ("softmax_last_dim",)),
        FrameworkName("log_softmax", ("log_softmax",), axis=("d", -1)),
    ),
)
