"""Names in Hugging Face Transformers: the keys of ``ACT2CLS``, which ``hidden_act`` takes."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="transformers",
    title="Hugging Face Transformers",
    project="https://github.com/huggingface/transformers",
    versions="5.24",
    sources=("src/transformers/activations.py",),
    remarks=(
        "gelu_fast holds √(2/π) as 0.7978845608: the tanh form to 10 digits.",
        "xielu takes the initial α₊ and α₋ and keeps their inverse softplus, of α₋ that of α₋ − β, in "
        "bfloat16 unless configured otherwise: what it computes with is then off by up to 0.4 %.",
    ),
    names=(
        FrameworkName("gelu", ("gelu", "gelu_python")),
        FrameworkName(
            "gelu_tanh",
            ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"),
        ),
        FrameworkName("quick_gelu", ("quick_gelu",)),
        FrameworkName("hard_swish", ("hardswish",)),
        FrameworkName("leaky_relu", ("leaky_relu",), (Argument("negative_slope", 0.01),)),
        FrameworkName("linear", ("linear",), fixed={"slope": 1.0}),
        FrameworkName("mish", ("mish",)),
        FrameworkName("relu", ("relu",)),
        FrameworkName("squared_relu", ("relu2",)),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("silu", ("silu", "swish")),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("prelu", ("prelu",), (Argument("init", 0.25, of="weight"),), axis=(None, 1)),
        FrameworkName("gelu_10", ("gelu_10",)),
        FrameworkName("laplace", ("laplace",), fixed={"mu": 0.707107, "sigma": 0.282095}),
        FrameworkName("sqrtsoftplus", ("sqrtsoftplus",)),
        FrameworkName(
            "xielu",
            ("xielu",),
            (
                Argument("alpha_p_init", 0.8, of="alpha_p"),
                Argument("alpha_n_init", 0.8, of="alpha_n"),
                Argument("beta", 0.5),
                Argument("eps", -1e-6),
            ),
        ),
    ),
)
