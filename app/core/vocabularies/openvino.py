"""Names in OpenVINO: the operations of its opset 13, as its Python functions spell them."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="openvino",
    title="OpenVINO",
    project="https://github.com/openvinotoolkit/openvino",
    versions="2026.4 (opset 13)",
    sources=(
        "src/bindings/python/src/openvino/opset1/ops.py",
        "src/bindings/python/src/openvino/opset4/ops.py",
        "src/bindings/python/src/openvino/opset5/ops.py",
        "src/bindings/python/src/openvino/opset7/ops.py",
    ),
    remarks=(
        "Parameters have no defaults but swish's beta; gelu demands its approximation_mode, and ERF is "
        "taken here where it is left out.",
    ),
    names=(
        FrameworkName("relu", ("relu",)),
        FrameworkName("prelu", ("prelu",), (Argument("slope", of="weight"),), axis=(None, 1)),
        FrameworkName("elu", ("elu",), (Argument("alpha"),)),
        FrameworkName("scaled_elu", ("selu",), (Argument("alpha"), Argument("lambda_value", of="gamma"))),
        FrameworkName("sigmoid", ("sigmoid",)),
        FrameworkName("hard_sigmoid", ("hsigmoid",)),
        FrameworkName("clipped_affine", ("hard_sigmoid",), (Argument("alpha"), Argument("beta"))),
        FrameworkName("tanh", ("tanh",)),
        FrameworkName(
            "hard_tanh",
            ("clamp",),
            (Argument("min_value", of="min_val"), Argument("max_value", of="max_val")),
        ),
        FrameworkName("softsign", ("softsign",)),
        FrameworkName("softplus", ("softplus",), fixed={"beta": 1.0}),
        FrameworkName("swish", ("swish",), (Argument("beta", 1.0),)),
        FrameworkName("gelu", ("gelu",), options={"approximation_mode": "ERF"}),
        FrameworkName("gelu_tanh", ("gelu",), options={"approximation_mode": "TANH"}, preferred=False),
        FrameworkName("mish", ("mish",)),
        FrameworkName("hard_swish", ("hswish",)),
        FrameworkName("erf", ("erf",)),
        FrameworkName("exponential", ("exp",)),
        FrameworkName("arctan", ("atan",)),
        FrameworkName("softmax", ("softmax",), axis=("axis", -1)),
        FrameworkName("log_softmax", ("log_softmax",), axis=("axis", -1)),
    ),
)
