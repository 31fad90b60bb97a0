"""Peer (b): the sigmoid and its derivative as a model of Triton's Python backend, in NumPy.

Tensors come and go through DLPack, without a copy: the backend's own way to NumPy and back was compiled for
NumPy 1 and reads the sizes of NumPy 2's formats wrongly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """The class that the backend instantiates."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response per request."""
        return [_response(request) for request in requests]


def _response(request: Any) -> Any:
    x: Any = np.from_dlpack(triton.get_input_tensor_by_name(request, "inputs"))
    y = 1 / (1 + np.exp(-x))
    answers = {"outputs": y, "derivative": y * (1 - y)}
    return triton.InferenceResponse([triton.Tensor.from_dlpack(*each) for each in answers.items()])
