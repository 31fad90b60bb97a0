"""timm's names, as ``get_act_layer`` and ``get_act_fn`` take them, and its own layer classes."""

from __future__ import annotations

from app.core.vocabularies.vocabulary import Argument, FrameworkName, Vocabulary

VOCABULARY = Vocabulary(
    framework="timm",
    title="timm (PyTorch Image Models)",
    project="https://github.com/huggingface/pytorch-image-models",
    versions="1.0.31",
    sources=(
        "timm/layers/create_act.py",
        "timm/layers/activations.py",
        "timm/layers/mlp.py",
        "timm/models/metaformer.py",
    ),
    remarks=(
        "GluMlp and SwiGLUPacked are whole layers: here they mean the gate between their two matrices. "
        "SwiGLUPacked gates with the first half, GluMlp with the second.",
    ),
    names=(
        FrameworkName("silu", ("silu", "swish", "Swish")),
        FrameworkName("mish", ("mish", "Mish")),
        FrameworkName("relu", ("relu",)),
        FrameworkName("relu6", ("relu6",)),
        FrameworkName("leaky_relu", ("leaky_relu",), (Argument("negative_slope", 0.01),)),
        FrameworkName("elu", ("elu",), (Argument("alpha", 1.0),)),
        FrameworkName("celu", ("celu",), (Argument("alpha", 1.0),)),
        FrameworkName("selu", ("selu",)),
        FrameworkName("gelu", ("gelu", "GELU")),
        FrameworkName("gelu_tanh", ("gelu_tanh", "GELUTanh")),
        FrameworkName("quick_gelu", ("quick_gelu", "QuickGELU")),
        FrameworkName("sigmoid", ("sigmoid", "Sigmoid")),
        FrameworkName("tanh", ("tanh", "Tanh")),
        FrameworkName("hard_sigmoid", ("hard_sigmoid", "hardsigmoid", "HardSigmoid")),
        FrameworkName("hard_swish", ("hard_swish", "hardswish", "HardSwish")),
        FrameworkName("prelu", ("prelu", "PReLU"), (Argument("init", 0.25, of="weight"),), axis=(None, 1)),
        FrameworkName("linear", ("identity",), fixed={"slope": 1.0}),
        FrameworkName("glu", ("GluMlp",)),
        FrameworkName("swiglu", ("SwiGLUPacked",), fixed={"beta": 1.0}),
        FrameworkName("hard_mish", ("hard_mish", "HardMish")),
        FrameworkName(
            "star_relu",
            ("StarReLU",),
            (Argument("scale_value", 1.0, of="scale"), Argument("bias_value", 0.0, of="bias")),
        ),
    ),
)
