"""Names in DirectML: the operators ``DML_OPERATOR_ACTIVATION_…``, with the defaults of DirectMLX."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="directml",
    title="DirectML",
    project="https://github.com/microsoft/DirectML",
    versions="1.15 (commit a9614e8)",
    sources=("Libraries/DirectMLX.h",),
    remarks=(
        "The operators' structures have no defaults; those here are DirectMLX's.",
        "SOFTPLUS is log(1 + exp(steepness·x))/steepness.",
    ),
    names=(
        FrameworkName("sigmoid", ("SIGMOID", "ActivationSigmoid")),
        FrameworkName(
            "clipped_affine",
            ("HARD_SIGMOID", "ActivationHardSigmoid"),
            (Argument("alpha", 0.2), Argument("beta", 0.5)),
        ),
        FrameworkName("tanh", ("TANH", "ActivationTanh")),
        FrameworkName("softsign", ("SOFTSIGN", "ActivationSoftsign")),
        FrameworkName("linear", ("IDENTITY", "ActivationIdentity"), fixed={"slope": 1.0}),
        FrameworkName("relu", ("RELU", "ActivationRelu")),
        FrameworkName(
            "leaky_relu",
            ("LEAKY_RELU", "ActivationLeakyRelu"),
            (Argument("alpha", 0.01, of="negative_slope"),),
        ),
        FrameworkName(
            "prelu",
            ("PARAMETERIZED_RELU", "ActivationParameterizedRelu"),
            (Argument("slope", of="weight"),),
        ),
        FrameworkName(
            "threshold",
            ("THRESHOLDED_RELU", "ActivationThresholdedRelu"),
            (Argument("alpha", 1.0, of="threshold"),),
            fixed={"value": 0.0},
        ),
        FrameworkName("elu", ("ELU", "ActivationElu"), (Argument("alpha", 1.0),)),
        FrameworkName("celu", ("CELU", "ActivationCelu"), (Argument("alpha", 1.0),)),
        FrameworkName(
            "scaled_elu",
            ("SCALED_ELU", "ActivationScaledElu"),
            (
                Argument("alpha", 1.67326319217681884765625),
                Argument("gamma", 1.05070102214813232421875),
            ),
        ),
        FrameworkName(
            "softplus", ("SOFTPLUS", "ActivationSoftplus"), (Argument("steepness", 1.0, of="beta"),)
        ),
        FrameworkName("gelu", ("GELU", "ActivationGelu")),
        FrameworkName(
            "shrink",
            ("SHRINK", "ActivationShrink"),
            (Argument("bias", 0.0), Argument("threshold", 0.5, of="lambd")),
        ),
        FrameworkName("softmax", ("SOFTMAX", "ActivationSoftmax")),
        FrameworkName("log_softmax", ("LOG_SOFTMAX", "ActivationLogSoftmax")),
        FrameworkName("hardmax", ("HARDMAX", "ActivationHardmax")),
        FrameworkName(
            "affine",
            ("LINEAR", "ActivationLinear"),
            (Argument("alpha", of="slope"), Argument("beta", of="intercept")),
        ),
        FrameworkName(
            "scaled_tanh",
            ("SCALED_TANH", "ActivationScaledTanh"),
            (Argument("alpha", 1.0), Argument("beta", 0.5)),
        ),
        FrameworkName(
            "parametric_softplus",
            ("PARAMETRIC_SOFTPLUS", "ActivationParametricSoftplus"),
            (Argument("alpha"), Argument("beta")),
        ),
    ),
)
