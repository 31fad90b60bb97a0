"""Keras 3's names."""

from __future__ import annotations

import math

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="keras",
    title="Keras 3",
    project="https://github.com/keras-team/keras",
    versions="3.15",
    sources=("keras/src/activations/activations.py", "keras/src/layers/activations/"),
    names=(
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("log_sigmoid", ("log_sigmoid",)),
        FrameworkName("hard_sigmoid", ("hard_sigmoid",)),
        FrameworkName("sparse_sigmoid", ("sparse_sigmoid",)),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("hard_tanh", ("hard_tanh",), fixed={"min_val": -1.0, "max_val": 1.0}),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("linear", ("linear", "Identity"), fixed={"slope": 1.0}),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName("leaky_relu", ("leaky_relu",), (Argument("negative_slope", 0.2),)),
        FrameworkName("leaky_relu", ("LeakyReLU",), (Argument("negative_slope", 0.3),)),
        FrameworkName("prelu", ("PReLU",), (Argument("alpha", 0.0, of="weight"),)),
        FrameworkName(
            "threshold",
            ("threshold",),
            (Argument("threshold"), Argument("default_value", of="value")),
        ),
        FrameworkName(
            "clipped_leaky_relu",
            ("relu", "ReLU"),
            (Argument("negative_slope", 0.0), Argument("max_value", math.inf), Argument("threshold", 0.0)),
        ),
        FrameworkName("elu", ("ELU", "elu"), (Argument("alpha", 1.0),)),
        FrameworkName("selu", ("selu",)),
        FrameworkName("celu", ("celu",), (Argument("alpha", 1.0),)),
        FrameworkName("exponential", ("exponential",)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("squareplus", ("squareplus",), (Argument("b", 4.0),)),
        FrameworkName("sparse_plus", ("sparse_plus",)),
        FrameworkName("silu", ("silu", "swish")),
        FrameworkName("gelu", ("gelu",), options={"approximate": False}),
        FrameworkName("gelu_tanh", ("gelu",), options={"approximate": True}, preferred=False),
        FrameworkName("mish", ("mish",)),
        FrameworkName("hard_swish", ("hard_silu", "hard_swish")),
        FrameworkName("hardshrink", ("hard_shrink",), (Argument("threshold", 0.5, of="lambd"),)),
        FrameworkName("softshrink", ("soft_shrink",), (Argument("threshold", 0.5, of="lambd"),)),
        FrameworkName("tanhshrink", ("tanh_shrink",)),
        FrameworkName("softmax", ("Softmax", "softmax"), axis=("axis", -1)),
        FrameworkName("log_softmax", ("log_softmax",), axis=("axis", -1)),
        FrameworkName("sparsemax", ("sparsemax",), axis=("axis", -1)),
        FrameworkName("glu", ("glu",), axis=("axis", -1)),
    ),
)
