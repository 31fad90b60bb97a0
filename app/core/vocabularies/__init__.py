"""What each framework calls its activations: `VOCABULARIES`, made from the files beside this one."""

from app.core.vocabularies import jax, keras, onnx, torch

VOCABULARIES = (
    torch.VOCABULARY,
    jax.VOCABULARY,
    keras.VOCABULARY,
    onnx.VOCABULARY,
)
