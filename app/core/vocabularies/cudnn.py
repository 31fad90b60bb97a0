"""Names in cuDNN: the modes of its pointwise operation, with the frontend's defaults."""

from __future__ import annotations

import math

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="cudnn",
    title="cuDNN",
    project="https://github.com/NVIDIA/cudnn-frontend",
    versions="9 (frontend 1.23, commit 3929da2)",
    sources=(
        "include/cudnn_frontend/node/pointwise.h",
        "include/cudnn_frontend_utils.h",
        "https://docs.nvidia.com/cudnn/latest/operations/Pointwise/",
    ),
    remarks=(
        "The formulas were read from the reference; the kernels are not published.",
        "RELU_FWD's relu_lower_clip is 0, its default: another value is not offered here.",
    ),
    names=(
        FrameworkName(
            "clipped_leaky_relu",
            ("RELU_FWD",),
            (
                Argument("relu_lower_clip_slope", 0.0, of="negative_slope"),
                Argument("relu_upper_clip", math.inf, of="max_value"),
            ),
            fixed={"threshold": 0.0},
        ),
        FrameworkName("tanh", ("TANH_FWD",)),
        FrameworkName("sigmoid", ("SIGMOID_FWD",)),
        FrameworkName("elu", ("ELU_FWD",), (Argument("elu_alpha", 1.0, of="alpha"),)),
        FrameworkName("gelu", ("GELU_FWD",)),
        FrameworkName("gelu_tanh", ("GELU_APPROX_TANH_FWD",)),
        FrameworkName("softplus", ("SOFTPLUS_FWD",), (Argument("softplus_beta", 1.0, of="beta"),)),
        FrameworkName("swish", ("SWISH_FWD",), (Argument("swish_beta", 1.0, of="beta"),)),
        FrameworkName("erf", ("ERF",)),
        FrameworkName("linear", ("IDENTITY",), fixed={"slope": 1.0}),
        FrameworkName("exponential", ("EXP",)),
    ),
)
