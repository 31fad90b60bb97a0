"""Names in vLLM: its custom operators, and the keys that ``get_act_fn`` takes."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="vllm",
    title="vLLM",
    project="https://github.com/vllm-project/vllm",
    versions="0.11 to 0.13",
    sources=("vllm/model_executor/layers/activation.py",),
    remarks=(
        "silu_and_mul and gelu_and_mul gate with the first half, mul_and_silu with the second.",
        "gelu_fast holds √(2/π) as 0.7978845608: the tanh form to 10 digits.",
        "gelu_and_mul_sparse depends on the mean and the spread of a row and has no name here.",
    ),
    names=(
        FrameworkName("swiglu", ("silu_and_mul", "SiluAndMul"), fixed={"beta": 1.0}),
        FrameworkName("geglu", ("gelu_and_mul", "GeluAndMul")),
        FrameworkName("gelu", ("gelu",)),
        FrameworkName("gelu_tanh", ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "NewGELU", "FastGELU")),
        FrameworkName("quick_gelu", ("quick_gelu", "QuickGELU")),
        FrameworkName("relu", ("relu",)),
        FrameworkName("squared_relu", ("relu2", "ReLUSquaredActivation")),
        FrameworkName("silu", ("silu",)),
    ),
)
