"""JAX's names."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="jax",
    title="JAX",
    project="https://github.com/jax-ml/jax",
    versions="0.10",
    sources=("jax/_src/nn/functions.py",),
    names=(
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("log_sigmoid", ("log_sigmoid",)),
        FrameworkName("hard_sigmoid", ("hard_sigmoid",)),
        FrameworkName("sparse_sigmoid", ("sparse_sigmoid",)),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("hard_tanh", ("hard_tanh",), fixed={"min_val": -1.0, "max_val": 1.0}),
        FrameworkName("softsign", ("soft_sign",)),
        FrameworkName("linear", ("identity",), fixed={"slope": 1.0}),
        FrameworkName("relu", ("relu",)),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName("leaky_relu", ("leaky_relu",), (Argument("negative_slope", 0.01),)),
        FrameworkName("elu", ("elu",), (Argument("alpha", 1.0),)),
        FrameworkName("selu", ("selu",)),
        FrameworkName("celu", ("celu",), (Argument("alpha", 1.0),)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("squareplus", ("squareplus",), (Argument("b", 4.0),)),
        FrameworkName("sparse_plus", ("sparse_plus",)),
        FrameworkName("silu", ("silu", "swish")),
        FrameworkName("gelu", ("gelu",), options={"approximate": False}, preferred=False),
        FrameworkName("gelu_tanh", ("gelu",), options={"approximate": True}),
        FrameworkName("mish", ("mish",)),
        FrameworkName("hard_swish", ("hard_silu", "hard_swish")),
        FrameworkName("softmax", ("softmax",), (Argument("where", 1.0, of="mask"),), axis=("axis", -1)),
        FrameworkName(
            "log_softmax", ("log_softmax",), (Argument("where", 1.0, of="mask"),), axis=("axis", -1)
        ),
        FrameworkName("glu", ("glu",), axis=("axis", -1)),
    ),
)
