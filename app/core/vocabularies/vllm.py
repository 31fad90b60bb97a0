"""Names in vLLM: its custom operators, and the keys that ``get_act_fn`` takes."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="vllm",
    title="vLLM",
    project="https://github.com/vllm-project/vllm",
    versions="0.11 to 0.13, and the main branch of 2026",
    sources=("vllm/model_executor/layers/activation.py",),
    remarks=(
        "silu_and_mul and gelu_and_mul gate with the first half; mul_and_silu gates with the second and has "
        "no name here. swigluoai_and_mul pairs neighbouring elements, the gate first.",
        "swiglustep_and_mul came in 2026 with pull request 34478, silu_and_mul_with_clamp with 40950; its "
        "alpha and beta are newer than its limit.",
        "A clamp lets the gradient through at its bound; here the bound belongs to the flat side.",
        "xielu keeps the inverse softplus of α₊ and of α₋ − β in bfloat16, as Transformers does.",
        "gelu_fast holds √(2/π) as 0.7978845608: the tanh form to 10 digits.",
        "gelu_and_mul_sparse depends on the mean and the spread of a row and has no name here.",
    ),
    names=(
        FrameworkName("swiglu", ("silu_and_mul", "SiluAndMul"), fixed={"beta": 1.0}),
        FrameworkName("geglu", ("gelu_and_mul", "GeluAndMul"), options={"approximate": "none"}),
        FrameworkName(
            "geglu_tanh",
            ("gelu_and_mul", "GeluAndMul"),
            options={"approximate": "tanh"},
            preferred=False,
        ),
        FrameworkName("geglu_tanh", ("gelu_tanh_and_mul",)),
        FrameworkName(
            "swiglu_oai",
            ("swigluoai_and_mul", "SwigluOAIAndMul"),
            (Argument("alpha", 1.702), Argument("limit", 7.0)),
        ),
        FrameworkName(
            "clamped_swiglu",
            ("silu_and_mul_with_clamp",),
            (Argument("limit"), Argument("alpha", 1.0), Argument("beta", 0.0, of="offset")),
        ),
        FrameworkName(
            "clamped_swiglu",
            ("SiluAndMulWithClamp",),
            (
                Argument("swiglu_limit", of="limit"),
                Argument("alpha", 1.0),
                Argument("beta", 0.0, of="offset"),
            ),
        ),
        FrameworkName("swiglu_step", ("swiglustep_and_mul", "SwigluStepAndMul"), (Argument("limit", 7.0),)),
        FrameworkName("gated_fatrelu", ("fatrelu_and_mul", "FatreluAndMul"), (Argument("threshold", 0.0),)),
        FrameworkName("gelu", ("gelu",)),
        FrameworkName("gelu_tanh", ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "NewGELU", "FastGELU")),
        FrameworkName("quick_gelu", ("quick_gelu", "QuickGELU")),
        FrameworkName("relu", ("relu",)),
        FrameworkName("squared_relu", ("relu2", "ReLUSquaredActivation")),
        FrameworkName("silu", ("silu",)),
        FrameworkName(
            "xielu",
            ("xielu", "XIELU"),
            (
                Argument("alpha_p_init", 0.8, of="alpha_p"),
                Argument("alpha_n_init", 0.8, of="alpha_n"),
                Argument("beta", 0.5),
                Argument("eps", -1e-6),
            ),
        ),
    ),
)
