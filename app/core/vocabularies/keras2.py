"""Names in Keras 2 (tf.keras until TensorFlow 2.15, tf_keras since)."""

from __future__ import annotations

import math

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="keras2",
    title="Keras 2",
    project="https://github.com/keras-team/tf-keras",
    versions="2.21 (tf_keras)",
    sources=(
        "tf_keras/src/activations.py",
        "tf_keras/src/backend.py",
        "tf_keras/src/layers/activation/",
    ),
    remarks=("hard_sigmoid is 0.2x + 0.5 between 0 and 1; Keras 3 has x/6 + 0.5.",),
    names=(
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("clipped_affine", ("hard_sigmoid",), fixed={"alpha": 0.2, "beta": 0.5}),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("linear", ("linear",), fixed={"slope": 1.0}),
        FrameworkName(
            "clipped_leaky_relu",
            ("relu",),
            (
                Argument("alpha", 0.0, of="negative_slope"),
                Argument("max_value", math.inf),
                Argument("threshold", 0.0),
            ),
        ),
        FrameworkName(
            "clipped_leaky_relu",
            ("ReLU",),
            (
                Argument("max_value", math.inf),
                Argument("negative_slope", 0.0),
                Argument("threshold", 0.0),
            ),
        ),
        FrameworkName("leaky_relu", ("LeakyReLU",), (Argument("alpha", 0.3, of="negative_slope"),)),
        FrameworkName("prelu", ("PReLU",), (Argument("alpha", 0.0, of="weight"),)),
        FrameworkName(
            "threshold",
            ("ThresholdedReLU",),
            (Argument("theta", 1.0, of="threshold"),),
            fixed={"value": 0.0},
        ),
        FrameworkName("elu", ("ELU", "elu"), (Argument("alpha", 1.0),)),
        FrameworkName("selu", ("selu",)),
        FrameworkName("exponential", ("exponential",)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("silu", ("swish",)),
        FrameworkName("gelu", ("gelu",), options={"approximate": False}),
        FrameworkName("gelu_tanh", ("gelu",), options={"approximate": True}, preferred=False),
        FrameworkName("mish", ("mish",)),
        FrameworkName("softmax", ("Softmax", "softmax"), axis=("axis", -1)),
    ),
)
