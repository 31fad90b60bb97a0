"""Frameworks that run in a process of their own, since their libraries cannot be loaded together.

Each process loads one of them and evaluates its functions at arrays. `Remote` has the interface of the
classes in `frameworks`; it raises ImportError, with the library's own message, where one cannot be loaded.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np

from tests.peers.frameworks import Apply, Array, defaults_of


def _first(places: tuple[Any, ...], name: str) -> Any:
    for place in places:
        if hasattr(place, name):
            return getattr(place, name)
    raise LookupError(f"there is no {name}")


def _made(kind: Any, arguments: Mapping[str, Any]) -> Any:
    return kind(**arguments)


class Local:
    """One framework in this process."""

    dtype = "float32"

    def find(self, name: str) -> Any:
        """The function or class of that name."""
        raise NotImplementedError

    def tensor(self, x: Array) -> Any:
        """The framework's own array."""
        raise NotImplementedError

    def call(self, found: Any, arguments: Mapping[str, Any], x: Any) -> Any:
        """The value at ``x`` of a function, or of a layer built with the arguments."""
        return _made(found, arguments)(x) if inspect.isclass(found) else found(x, **arguments)

    def values(self, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
        """The framework's values at an array."""
        return np.asarray(self.call(self.find(name), arguments, self.tensor(x)))

    def defaults(self, name: str) -> dict[str, Any]:
        """The numeric defaults of its signature; None for required parameters."""
        return defaults_of(self.find(name))


class Transformers(Local):
    dtype = "float64"

    def __init__(self) -> None:
        import torch  # noqa: PLC0415
        from transformers import activations  # noqa: PLC0415

        self._torch, self._known = torch, activations.ACT2CLS

    def find(self, name: str) -> Any:
        found = self._known[name]
        return found[0] if isinstance(found, tuple) else found

    def values(self, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
        found = self._known[name]
        kind, given = found if isinstance(found, tuple) else (found, {})
        if "dtype" in inspect.signature(kind).parameters:  # the format of its parameters
            given = {**given, "dtype": self._torch.float64}
        layer = kind(**{**given, **arguments}).double().eval()
        return np.asarray(layer(self._torch.tensor(x)).detach())


class Timm(Local):
    dtype = "float64"

    def __init__(self) -> None:
        import torch  # noqa: PLC0415
        from timm import layers  # noqa: PLC0415

        self._torch, self._layers = torch, layers

    def find(self, name: str) -> Any:
        from timm.layers import activations, mlp  # noqa: PLC0415
        from timm.models import metaformer  # noqa: PLC0415

        return (
            _first((mlp, activations, metaformer), name)
            if name[0].isupper()
            else self._layers.get_act_layer(name)
        )

    def call(self, found: Any, arguments: Mapping[str, Any], x: Any) -> Any:
        name = getattr(found, "func", found).__name__
        layer = found(x.shape[-1]) if name == "GluMlp" else found(**arguments)
        if name == "GluMlp":  # its gate alone
            layer.fc1 = layer.fc2 = self._torch.nn.Identity()
        return layer.double().eval()(x).detach()

    def tensor(self, x: Array) -> Any:
        return self._torch.tensor(x)


class Tinygrad(Local):
    def __init__(self) -> None:
        from tinygrad import Tensor  # noqa: PLC0415

        self._kind = Tensor

    def find(self, name: str) -> Any:
        return getattr(self._kind, name)

    def tensor(self, x: Array) -> Any:
        return self._kind(x.astype(np.float32))

    def values(self, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
        answered: Array = super().call(self.find(name), arguments, self.tensor(x)).numpy()
        return answered


class Mlx(Local):
    def __init__(self) -> None:
        from mlx import core, nn  # noqa: PLC0415

        self._core, self._nn = core, nn

    def find(self, name: str) -> Any:
        return getattr(self._nn, name)

    def tensor(self, x: Array) -> Any:
        return self._core.array(x.astype(np.float32))

    def call(self, found: Any, arguments: Mapping[str, Any], x: Any) -> Any:
        if inspect.isclass(found):
            return _made(found, arguments)(x)
        # Its functions are compiled and take numbers by position only.
        return found(x, *arguments.values())


class Paddle(Local):
    dtype = "float64"

    def __init__(self) -> None:
        import paddle  # noqa: PLC0415

        self._paddle = paddle

    def find(self, name: str) -> Any:
        return _first((self._paddle.nn, self._paddle.nn.functional, self._paddle), name)

    def tensor(self, x: Array) -> Any:
        return self._paddle.to_tensor(x)

    def call(self, found: Any, arguments: Mapping[str, Any], x: Any) -> Any:
        if inspect.isclass(found):
            layer = _made(found, arguments)
            layer.eval()
            return layer.to(dtype="float64")(x)
        given = dict(arguments)
        if "weight" in given:
            given["weight"] = self._paddle.to_tensor([given["weight"]], dtype="float64")
        if "training" in inspect.signature(found).parameters:
            given["training"] = False
        return found(x, **given)


class Mindspore(Local):
    def __init__(self) -> None:
        import mindspore  # noqa: PLC0415

        self._mindspore = mindspore

    def find(self, name: str) -> Any:
        return _first((self._mindspore.nn, self._mindspore.ops), name)

    def tensor(self, x: Array) -> Any:
        return self._mindspore.Tensor(x.astype(np.float32))

    def values(self, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
        answered: Array = self.call(self.find(name), arguments, self.tensor(x)).asnumpy()
        return answered


class Keras2(Local):
    def __init__(self) -> None:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tf_keras  # noqa: PLC0415

        self._keras = tf_keras

    def find(self, name: str) -> Any:
        return _first((self._keras.activations, self._keras.layers), name)

    def tensor(self, x: Array) -> Any:
        return self._keras.backend.constant(x, dtype="float32")

    def call(self, found: Any, arguments: Mapping[str, Any], x: Any) -> Any:
        if not inspect.isclass(found) or "alpha_initializer" not in inspect.signature(found).parameters:
            return super().call(found, arguments, x)
        value = self._keras.initializers.Constant(arguments.get("alpha", 0.0))
        return _made(found, {"alpha_initializer": value})(x)


class Openvino(Local):
    def __init__(self) -> None:
        import openvino  # noqa: PLC0415
        from openvino import opset13  # noqa: PLC0415

        self._openvino, self._operations = openvino, opset13

    def find(self, name: str) -> Any:
        return getattr(self._operations, name)

    def values(self, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
        tensors = {"slope", "lambda_value", "beta"} | ({"alpha"} if name != "elu" else set())
        given = {key: np.float32(value) if key in tensors else value for key, value in arguments.items()}
        parameter = self._operations.parameter(x.shape, np.float32)
        model = self._openvino.Model([self.find(name)(parameter, **given)], [parameter])
        exactly = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = self._openvino.compile_model(model, "CPU", exactly)
        return np.array(compiled(x.astype(np.float32))[0])

    def defaults(self, _name: str) -> dict[str, Any]:
        """None: the decorated operations hide their signature."""
        return {}


class Litert(Local):
    """One operator per model, written as a flatbuffer."""

    def __init__(self) -> None:
        import flatbuffers  # noqa: PLC0415
        from ai_edge_litert import interpreter, schema_py_generated  # noqa: PLC0415

        self._buffers, self._schema, self._interpreter = flatbuffers, schema_py_generated, interpreter

    def values(self, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
        given = dict(arguments)
        slope = given.pop("alpha", None) if name == "PRELU" else None
        model = self._model(name, given, x.shape, None if slope is None else np.full(x.shape[-1:], slope))
        running = self._interpreter.Interpreter(model_content=model, num_threads=1)
        running.allocate_tensors()
        running.set_tensor(0, x.astype(np.float32))
        running.invoke()
        return np.array(running.get_tensor(1))

    def _model(
        self, name: str, options: Mapping[str, Any], shape: tuple[int, ...], slope: Array | None
    ) -> bytes:
        schema = self._schema
        model, graph, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorT()
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        held = [b"", b"", *([] if slope is None else [slope.astype(np.float32).tobytes()])]
        shapes = [shape, shape, *([] if slope is None else [slope.shape])]
        model.version, model.operatorCodes = 3, [code]
        model.buffers = [self._buffer(each) for each in (b"", *held)]
        graph.tensors = [self._tensor(each, number) for number, each in enumerate(shapes, 1)]
        graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
        operator.inputs, operator.outputs = [0] if slope is None else [0, 2], [1]
        self._set_options(operator, name, options)
        model.subgraphs = [graph]
        builder = self._buffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _buffer(self, data: bytes) -> Any:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8) if data else None
        return buffer

    def _tensor(self, shape: tuple[int, ...], buffer: int) -> Any:
        tensor = self._schema.TensorT()
        tensor.shape, tensor.buffer, tensor.type = list(shape), buffer, self._schema.TensorType.FLOAT32
        tensor.name = f"tensor {buffer}".encode()
        return tensor

    def _set_options(self, operator: Any, name: str, options: Mapping[str, Any]) -> None:
        """Sets the operator's options; SOFTMAX multiplies by ``beta``, which is 0 unless set."""
        kinds = {"LEAKY_RELU": "LeakyReluOptions", "GELU": "GeluOptions", "SOFTMAX": "SoftmaxOptions"}
        if name not in kinds:
            return
        operator.builtinOptionsType = getattr(self._schema.BuiltinOptions, kinds[name])
        operator.builtinOptions = getattr(self._schema, f"{kinds[name]}T")()
        for key, value in ({"beta": 1.0} if name == "SOFTMAX" else options).items():
            setattr(operator.builtinOptions, key, value)

    def defaults(self, _name: str) -> dict[str, Any]:
        """None: an operator's options are in the file."""
        return {}


KINDS: Mapping[str, Callable[[], Local]] = {
    "transformers": Transformers,
    "timm": Timm,
    "tinygrad": Tinygrad,
    "mlx": Mlx,
    "paddle": Paddle,
    "mindspore": Mindspore,
    "keras2": Keras2,
    "openvino": Openvino,
    "tflite": Litert,
}

MODULES = {"keras2": "tf_keras", "mlx": "mlx.nn", "tflite": "ai_edge_litert.interpreter"}
"""Module to import for a framework, where its name is another."""


@cache
def _local(framework: str) -> Local:
    os.environ.setdefault("DEV", "PYTHON")  # tinygrad's own interpreter: its other devices need a compiler
    try:
        importlib.import_module(MODULES.get(framework, framework))
    except Exception as error:  # noqa: BLE001  (whatever the error, it is reported as the reason)
        reason = str(error).splitlines()[0] if str(error) else ""
        raise ImportError(f"{type(error).__name__}: {reason}") from None
    return KINDS[framework]()


def _dtype(framework: str) -> str:
    return _local(framework).dtype


def _values(framework: str, name: str, arguments: Mapping[str, Any], x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.array(_local(framework).values(name, arguments, x))


def _defaults(framework: str, name: str) -> dict[str, Any]:
    return _local(framework).defaults(name)


class Remote:
    """A framework in a process of its own."""

    def __init__(self, framework: str) -> None:
        self._framework = framework
        self._process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self.dtype = self._ask(_dtype)

    def defaults(self, name: str) -> dict[str, Any]:
        """The signature's numeric defaults."""
        found: dict[str, Any] = self._ask(_defaults, name)
        return found

    def apply(self, name: str, arguments: Mapping[str, Any]) -> Apply:
        """The function under that name with these arguments."""
        return lambda x: self._ask(_values, name, dict(arguments), x)

    def differentiate(self, _name: str, _arguments: Mapping[str, Any]) -> None:
        """None: only values are compared; other tests compare the derivatives with the formulas."""

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        return self._process.submit(question, self._framework, *arguments).result(timeout=300)
