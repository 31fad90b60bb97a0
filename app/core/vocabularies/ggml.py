"""ggml's names: its functions without ``ggml_``, and the operators of its enumerations."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="ggml",
    title="ggml (llama.cpp)",
    project="https://github.com/ggml-org/ggml",
    versions="0.21 (commit d99724f2)",
    sources=(
        "include/ggml.h",
        "src/ggml-cpu/unary-ops.cpp",
        "src/ggml-cpu/vec.h",
    ),
    remarks=(
        "GELU is the tanh form. On the CPU it is read, for float32 too, from a table of 65,536 float16 "
        "values where GGML_GELU_FP16 is set, as it is by default: right to about 0.002 relative.",
        "SOFTPLUS is linear above 20.",
        "The gate of REGLU, GEGLU and SWIGLU is the first half; the functions that end in _swapped gate "
        "with the second and have no name here.",
        "SWIGLU_OAI takes the gate and the value apart, where gpt-oss has them alternate; alpha and limit "
        "have no default.",
        "GEGLU has the tanh form in its gate, read on the CPU from the same float16 table as GELU.",
        "XIELU has no name here: its alpha_p and alpha_n go through a softplus first.",
    ),
    names=(
        FrameworkName("step", ("step", "STEP")),
        FrameworkName("tanh", ("tanh", "TANH")),
        FrameworkName("elu", ("elu", "ELU"), fixed={"alpha": 1.0}),
        FrameworkName("relu", ("relu", "RELU")),
        FrameworkName("leaky_relu", ("leaky_relu", "LEAKY_RELU"), (Argument("negative_slope"),)),
        FrameworkName("sigmoid", ("sigmoid", "SIGMOID")),
        FrameworkName("gelu_tanh", ("gelu", "GELU")),
        FrameworkName("gelu", ("gelu_erf", "GELU_ERF")),
        FrameworkName("quick_gelu", ("gelu_quick", "GELU_QUICK")),
        FrameworkName("silu", ("silu", "SILU")),
        FrameworkName("hard_swish", ("hardswish", "HARDSWISH")),
        FrameworkName("hard_sigmoid", ("hardsigmoid", "HARDSIGMOID")),
        FrameworkName("exponential", ("exp", "EXP")),
        FrameworkName("softplus_threshold", ("softplus", "SOFTPLUS"), fixed={"beta": 1.0, "threshold": 20.0}),
        FrameworkName("softmax", ("soft_max", "SOFT_MAX")),
        FrameworkName("reglu", ("reglu", "REGLU")),
        FrameworkName("swiglu", ("swiglu", "SWIGLU"), fixed={"beta": 1.0}),
        FrameworkName("geglu", ("geglu_erf", "GEGLU_ERF")),
        FrameworkName("geglu_tanh", ("geglu", "GEGLU")),
        FrameworkName("geglu_quick", ("geglu_quick", "GEGLU_QUICK")),
        FrameworkName(
            "clamped_swiglu",
            ("swiglu_oai", "SWIGLU_OAI"),
            (Argument("alpha"), Argument("limit")),
            fixed={"offset": 1.0},
        ),
    ),
)
