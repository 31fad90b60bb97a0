"""Names in TensorFlow Lite (LiteRT): its builtin operators, in floating point."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="tflite",
    title="TensorFlow Lite (LiteRT)",
    project="https://github.com/tensorflow/tensorflow",
    versions="2.21",
    sources=("tensorflow/lite/kernels/activations.cc", "tensorflow/compiler/mlir/lite/schema/schema.fbs"),
    remarks=(
        "Quantised, LOGISTIC's output scale is fixed to 1/256 for 8 bits and 1/32768 for 16.",
        "SOFTMAX multiplies its inputs by an option beta, which converters set to 1, as here.",
    ),
    names=(
        FrameworkName("relu", ("RELU",)),
        FrameworkName("relu6", ("RELU6",)),
        FrameworkName("hard_tanh", ("RELU_N1_TO_1",), fixed={"min_val": -1.0, "max_val": 1.0}),
        FrameworkName("hard_tanh", ("RELU_0_TO_1",), fixed={"min_val": 0.0, "max_val": 1.0}),
        FrameworkName("leaky_relu", ("LEAKY_RELU",), (Argument("alpha", of="negative_slope"),)),
        FrameworkName("prelu", ("PRELU",), (Argument("alpha", of="weight"),)),
        FrameworkName("elu", ("ELU",), fixed={"alpha": 1.0}),
        FrameworkName("hard_swish", ("HARD_SWISH",)),
        FrameworkName("sigmoid", ("LOGISTIC",)),
        FrameworkName("tanh", ("TANH",)),
        FrameworkName("gelu", ("GELU",), options={"approximate": False}),
        FrameworkName("gelu_tanh", ("GELU",), options={"approximate": True}, preferred=False),
        FrameworkName("exponential", ("EXP",)),
        FrameworkName("softmax", ("SOFTMAX",)),
        FrameworkName("log_softmax", ("LOG_SOFTMAX",)),
    ),
)
