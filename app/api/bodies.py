"""The bodies of all requests: each a model, its examples, and the media types beside JSON that it may have.

An endpoint whose parameter is annotated with one of these types is given the validated body.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import Depends

from app.api import examples
from app.contract.activate import ActivateRequest
from app.contract.describe import DescribeRequest
from app.contract.gradient_flow import GradientFlowRequest
from app.contract.mean_field import MeanFieldRequest
from app.contract.pictures import AnswersPictureRequest
from app.contract.sweep import SweepRequest
from app.contract.training import TrainingRequest
from app.contract.verify import VerifyRequest
from app.http.array_bodies import ArrayBody, FilePart
from app.http.tensor_bodies import Inference, TensorBody
from app.wire import kernel_arrays, weights


def _weights(data: memoryview, fields: dict[str, Any], most: int) -> dict[str, Any]:
    """Plain layers, or a state dict if the request describes blocks."""
    read = weights.named if fields.get("block") is not None else weights.loads
    return {"weights": read(data, most)}


def _arrays(data: memoryview, fields: dict[str, Any], most: int) -> dict[str, Any]:
    """A kernel's arrays and their format."""
    dtype = fields.get("dtype")
    found = kernel_arrays.loads(data, dtype if isinstance(dtype, str) else None, most)
    return {**found.arrays, "dtype": found.dtype}


def _weights_part(**example: Any) -> FilePart:
    """The file with a network's weights, beside a request such as ``example``."""
    held = "safetensors or a NumPy archive (.npz): float64, float32, float16 or bfloat16."
    return FilePart("weights", held, _weights, example)


_deep = examples.gradient_flow_examples()
_NETWORK_PART = _weights_part(activation=_deep["deep"]["value"]["activation"])

_rings = examples.training_examples()
_TRAINING_PART = _weights_part(activations=_rings["rings"]["value"]["activations"], steps=20)

_few = examples.verify_examples()
_KERNEL_PART = FilePart(
    "arrays",
    "safetensors or a NumPy archive (.npz): outputs and, if wanted, inputs, derivative, second_derivative.",
    _arrays,
    {"function": _few["few"]["value"]["function"], "dtype": "bfloat16"},
)

_places = examples.mean_field_examples()
_diagram = {name: each for name, each in _places.items() if name == "diagram"}

_ACTIVATE = ArrayBody(ActivateRequest, examples.activate_examples(), npy=True)
_DESCRIBE = ArrayBody(DescribeRequest, examples.describe_examples())
_VERIFY = ArrayBody(VerifyRequest, _few, file=_KERNEL_PART)
_MEAN_FIELD = ArrayBody(MeanFieldRequest, _places)
_DIAGRAM = ArrayBody(MeanFieldRequest, _diagram)
_GRADIENT_FLOW = ArrayBody(GradientFlowRequest, _deep, file=_NETWORK_PART)
_SWEEP = ArrayBody(SweepRequest, examples.sweep_examples())
_DRAWN_ANSWERS = ArrayBody(AnswersPictureRequest, examples.drawn_examples())
_TRAINING = ArrayBody(TrainingRequest, _rings, file=_TRAINING_PART)
_INFER = TensorBody(examples.infer_examples())

BODIES = (
    _ACTIVATE,
    _DESCRIBE,
    _VERIFY,
    _MEAN_FIELD,
    _DIAGRAM,
    _GRADIENT_FLOW,
    _SWEEP,
    _DRAWN_ANSWERS,
    _TRAINING,
    _INFER,
)
"""All of them, for the OpenAPI document."""

ACTIVATE: TypeAlias = Annotated[ActivateRequest, Depends(_ACTIVATE.read)]
DESCRIBE: TypeAlias = Annotated[DescribeRequest, Depends(_DESCRIBE.read)]
VERIFY: TypeAlias = Annotated[VerifyRequest, Depends(_VERIFY.read)]
MEAN_FIELD: TypeAlias = Annotated[MeanFieldRequest, Depends(_MEAN_FIELD.read)]
DIAGRAM: TypeAlias = Annotated[MeanFieldRequest, Depends(_DIAGRAM.read)]
GRADIENT_FLOW: TypeAlias = Annotated[GradientFlowRequest, Depends(_GRADIENT_FLOW.read)]
SWEEP: TypeAlias = Annotated[SweepRequest, Depends(_SWEEP.read)]
DRAWN_ANSWERS: TypeAlias = Annotated[AnswersPictureRequest, Depends(_DRAWN_ANSWERS.read)]
TRAINING: TypeAlias = Annotated[TrainingRequest, Depends(_TRAINING.read)]
INFER: TypeAlias = Annotated[Inference, Depends(_INFER.read)]
