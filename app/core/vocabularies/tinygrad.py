"""Names in tinygrad: methods of its tensors."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="tinygrad",
    title="tinygrad",
    project="https://github.com/tinygrad/tinygrad",
    versions="0.14",
    sources=("tinygrad/mixin/elementwise.py", "tinygrad/mixin/op.py"),
    remarks=(
        "GELU's default is the tanh form.",
        "SELU's default constants are rounded to 1.67326 and 1.0507.",
        "softplus has no threshold above which it is linear.",
        "erf is a polynomial approximation, off by up to 1.5e-7; gelu with approximate='none' rests on it.",
    ),
    names=(
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("log_sigmoid", ("logsigmoid",)),
        FrameworkName("clipped_affine", ("hardsigmoid",), (Argument("alpha", 1 / 6), Argument("beta", 0.5))),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("hard_tanh", ("hardtanh",), (Argument("min_val", -1.0), Argument("max_val", 1.0))),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("relu", ("relu",)),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName("leaky_relu", ("leaky_relu",), (Argument("neg_slope", 0.01, of="negative_slope"),)),
        FrameworkName("elu", ("elu",), (Argument("alpha", 1.0),)),
        FrameworkName("celu", ("celu",), (Argument("alpha", 1.0),)),
        FrameworkName("scaled_elu", ("selu",), (Argument("alpha", 1.67326), Argument("gamma", 1.0507))),
        FrameworkName("exponential", ("exp",)),
        FrameworkName("softplus", ("softplus",), (Argument("beta", 1.0),)),
        FrameworkName("silu", ("silu", "swish")),
        FrameworkName("gelu_tanh", ("gelu",), options={"approximate": "tanh"}),
        FrameworkName("gelu", ("gelu",), options={"approximate": "none"}, preferred=False),
        FrameworkName("quick_gelu", ("quick_gelu",)),
        FrameworkName("mish", ("mish",)),
        FrameworkName("hard_swish", ("hardswish",)),
        FrameworkName("erf", ("erf",)),
        FrameworkName("softmax", ("softmax",), axis=("axis", -1)),
        FrameworkName("log_softmax", ("log_softmax",), axis=("axis", -1)),
    ),
)
