"""Names in NNlib.jl, which Flux uses."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="nnlib",
    title="NNlib.jl",
    project="https://github.com/FluxML/NNlib.jl",
    versions="0.9.36",
    sources=("src/activations.jl", "src/softmax.jl", "src/functions.jl"),
    remarks=(
        "gelu is the tanh form, and gelu_sigmoid the same function written with a sigmoid: not x·σ(1.702x).",
        "tanh_fast and sigmoid_fast are approximations; here they are the exact functions.",
        "rrelu draws a new slope at every call, in evaluation too; here the slope is the mean.",
        "Axes are counted from 0 here, as everywhere in this service, and from 1 in Julia: dims=1, the "
        "default of softmax, logsoftmax and glu, is axis 0.",
    ),
    names=(
        FrameworkName("sigmoid", ("sigmoid", "σ", "sigmoid_fast")),
        FrameworkName("hard_sigmoid", ("hardsigmoid", "hardσ")),
        FrameworkName("log_sigmoid", ("logsigmoid", "logσ")),
        FrameworkName("hard_tanh", ("hardtanh",), fixed={"min_val": -1.0, "max_val": 1.0}),
        FrameworkName("relu", ("relu",)),
        FrameworkName("leaky_relu", ("leakyrelu",), (Argument("a", 0.01, of="negative_slope"),)),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName(
            "rrelu", ("rrelu",), (Argument("l", 1 / 8, of="lower"), Argument("u", 1 / 3, of="upper"))
        ),
        FrameworkName("elu", ("elu",), (Argument("α", 1.0, of="alpha"),)),
        FrameworkName("gelu_tanh", ("gelu", "gelu_tanh", "gelu_sigmoid")),
        FrameworkName("gelu", ("gelu_erf",)),
        FrameworkName("silu", ("swish",)),
        FrameworkName("hard_swish", ("hardswish",)),
        FrameworkName("selu", ("selu",)),
        FrameworkName("celu", ("celu",), (Argument("α", 1.0, of="alpha"),)),
        FrameworkName(
            "threshold",
            ("trelu", "thresholdrelu"),
            (Argument("theta", 1.0, of="threshold"),),
            fixed={"value": 0.0},
        ),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("mish", ("mish",)),
        FrameworkName("tanh", ("tanh", "tanh_fast")),
        FrameworkName("tanhshrink", ("tanhshrink",)),
        FrameworkName("softshrink", ("softshrink",), (Argument("λ", 0.5, of="lambd"),)),
        FrameworkName("softmax", ("softmax",), axis=(None, 0)),
        FrameworkName("log_softmax", ("logsoftmax",), axis=(None, 0)),
        FrameworkName("glu", ("glu",), axis=(None, 0)),
        FrameworkName("lisht", ("lisht",)),
        FrameworkName("logcosh", ("logcosh",)),
    ),
)
