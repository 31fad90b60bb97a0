"""Names in TensorRT: the values of ``ActivationType``, with the defaults that its ONNX parser holds."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="tensorrt",
    title="TensorRT",
    project="https://github.com/onnx/onnx-tensorrt",
    versions="10.1 (parser at commit 96e7811)",
    sources=("importerUtils.cpp", "onnxOpImporters.cpp", "NvInfer.h"),
    remarks=(
        "A layer made by hand has alpha and beta 0 until they are set. The defaults here are those of the "
        "parser's table by activation type.",
        "Where a model's Selu leaves its attributes out, the parser sets 1.6732 and 1.0507, not the "
        "constants that ONNX prescribes.",
        "NvInfer.h defines THRESHOLDED_RELU as x where x > alpha, else 0, as here; the page of operators "
        "says max(0, x − alpha).",
    ),
    names=(
        FrameworkName("relu", ("RELU",)),
        FrameworkName("sigmoid", ("SIGMOID",)),
        FrameworkName("tanh", ("TANH",)),
        FrameworkName("leaky_relu", ("LEAKY_RELU",), (Argument("alpha", 0.01, of="negative_slope"),)),
        FrameworkName("elu", ("ELU",), (Argument("alpha", 1.0),)),
        FrameworkName(
            "scaled_elu",
            ("SELU",),
            (
                Argument("alpha", 1.67326319217681884765625),
                Argument("beta", 1.05070102214813232421875, of="gamma"),
            ),
        ),
        FrameworkName("softsign", ("SOFTSIGN",)),
        FrameworkName(
            "hard_tanh",
            ("CLIP",),
            (Argument("alpha", of="min_val"), Argument("beta", of="max_val")),
        ),
        FrameworkName("clipped_affine", ("HARD_SIGMOID",), (Argument("alpha", 0.2), Argument("beta", 0.5))),
        FrameworkName(
            "threshold",
            ("THRESHOLDED_RELU",),
            (Argument("alpha", 1.0, of="threshold"),),
            fixed={"value": 0.0},
        ),
        FrameworkName("gelu", ("GELU_ERF",)),
        FrameworkName("gelu_tanh", ("GELU_TANH",)),
        FrameworkName("parametric_softplus", ("SOFTPLUS",), (Argument("alpha"), Argument("beta"))),
        FrameworkName("scaled_tanh", ("SCALED_TANH",), (Argument("alpha", 1.0), Argument("beta", 1.0))),
    ),
)
