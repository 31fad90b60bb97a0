"""Names in the Web Neural Network API: methods of ``MLGraphBuilder``."""

from __future__ import annotations

import math

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="webnn",
    title="WebNN",
    project="https://github.com/webmachinelearning/webnn",
    versions="editor's draft of 26 June 2026 (commit c515210)",
    sources=("index.bs",),
    remarks=("gelu is the erf form alone. softplus has no steepness.", "softmax demands its axis."),
    names=(
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("clipped_affine", ("hardSigmoid",), (Argument("alpha", 0.2), Argument("beta", 0.5))),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName(
            "hard_tanh",
            ("clamp",),
            (
                Argument("minValue", -math.inf, of="min_val"),
                Argument("maxValue", math.inf, of="max_val"),
            ),
        ),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("linear", ("identity",), fixed={"slope": 1.0}),
        FrameworkName("relu", ("relu",)),
        FrameworkName("leaky_relu", ("leakyRelu",), (Argument("alpha", 0.01, of="negative_slope"),)),
        FrameworkName("prelu", ("prelu",), (Argument("slope", of="weight"),)),
        FrameworkName("elu", ("elu",), (Argument("alpha", 1.0),)),
        FrameworkName("exponential", ("exp",)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("gelu", ("gelu",)),
        FrameworkName("hard_swish", ("hardSwish",)),
        FrameworkName("erf", ("erf",)),
        FrameworkName("softmax", ("softmax",), axis=("axis", -1)),
        FrameworkName(
            "affine", ("linear",), (Argument("alpha", 1.0, of="slope"), Argument("beta", 0.0, of="intercept"))
        ),
    ),
)
