"""How to call a framework's activation by its own name and parameters, and how to differentiate it."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

Array: TypeAlias = np.ndarray[Any, Any]
Apply: TypeAlias = Callable[[Array], Array]
Differentiate: TypeAlias = Callable[[Array, Array], Array]


def defaults_of(function: Any) -> dict[str, Any]:
    """The numeric defaults of a signature; None for required parameters."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}  # written in C, without a signature
    given = {name: each.default for name, each in parameters.items()}
    demanded = {name: None for name, value in given.items() if value is inspect.Parameter.empty}
    return demanded | {name: value for name, value in given.items() if type(value) in {int, float}}


class Torch:
    """torch.nn's modules and torch.nn.functional's or torch's own functions, in float64."""

    dtype = "float64"

    def __init__(self) -> None:
        import torch  # noqa: PLC0415 - heavy imports only where they are used

        self._torch = torch

    def defaults(self, name: str) -> dict[str, Any]:
        return defaults_of(self._find(name))

    def apply(self, name: str, arguments: Mapping[str, Any]) -> Apply:
        function = self._callable(name, arguments)
        return lambda x: np.asarray(function(self._torch.tensor(x)).detach())

    def differentiate(self, name: str, arguments: Mapping[str, Any]) -> Differentiate:
        function = self._callable(name, arguments)

        def gradient(x: Array, upstream: Array) -> Array:
            leaf = self._torch.tensor(x, requires_grad=True)
            function(leaf).backward(self._torch.tensor(upstream))
            return np.asarray(leaf.grad)

        return gradient

    def _find(self, name: str) -> Any:
        torch = self._torch
        for place in (torch.nn, torch.nn.functional, torch, torch.special):
            if hasattr(place, name):
                return getattr(place, name)
        raise LookupError(f"torch has no {name}")

    def _callable(self, name: str, arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
        found: Callable[..., Any] = self._find(name)
        if inspect.isclass(found):
            return self._module(found, arguments)
        tensors = {"weight"} & arguments.keys()
        given = {key: self._tensor(value) if key in tensors else value for key, value in arguments.items()}
        return lambda x: found(x, **given)

    def _module(self, kind: Any, arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
        accepted = inspect.signature(kind).parameters
        settings = {key: value for key, value in arguments.items() if key in accepted}
        module: Callable[[Any], Any] = kind(**settings).double().eval()
        for key in arguments.keys() - accepted.keys():
            getattr(module, key).data = self._tensor(arguments[key])
        return module

    def _tensor(self, value: Any) -> Any:
        return self._torch.tensor(np.atleast_1d(value), dtype=self._torch.float64)


class Jax:
    """jax.nn, else jax.numpy and jax.lax, in float64."""

    dtype = "float64"

    def __init__(self) -> None:
        import jax  # noqa: PLC0415

        jax.config.update("jax_enable_x64", True)
        self._jax = jax

    def defaults(self, name: str) -> dict[str, Any]:
        return defaults_of(self._find(name))

    def apply(self, name: str, arguments: Mapping[str, Any]) -> Apply:
        function = self._find(name)
        return lambda x: np.asarray(function(self._jax.numpy.asarray(x), **arguments))

    def differentiate(self, name: str, arguments: Mapping[str, Any]) -> Differentiate:
        function = self._find(name)

        def gradient(x: Array, upstream: Array) -> Array:
            _, pull = self._jax.vjp(lambda each: function(each, **arguments), self._jax.numpy.asarray(x))
            return np.asarray(pull(self._jax.numpy.asarray(upstream))[0])

        return gradient

    def _find(self, name: str) -> Any:
        for place in (self._jax.nn, self._jax.numpy, self._jax.lax):
            if hasattr(place, name):
                return getattr(place, name)
        raise LookupError(f"jax has no {name}")


class Keras:
    """keras.activations' functions and keras.layers' classes on the JAX backend.

    In float32: some of Keras's operations round to that whatever their inputs.
    """

    dtype = "float32"

    def __init__(self) -> None:
        self._jax = Jax()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras's own imports warn
            import keras  # noqa: PLC0415

        self._keras = keras

    def defaults(self, name: str) -> dict[str, Any]:
        return defaults_of(self._find(name))

    def apply(self, name: str, arguments: Mapping[str, Any]) -> Apply:
        function = self._callable(name, arguments)
        return lambda x: np.asarray(function(x.astype(np.float32)))

    def differentiate(self, name: str, arguments: Mapping[str, Any]) -> Differentiate:
        function = self._callable(name, arguments)

        def gradient(x: Array, upstream: Array) -> Array:
            jax = self._jax._jax
            out, pull = jax.vjp(function, jax.numpy.asarray(x, dtype="float32"))
            return np.asarray(pull(jax.numpy.asarray(upstream, dtype=out.dtype))[0])

        return gradient

    def _find(self, name: str) -> Any:
        for place in (self._keras.activations, self._keras.layers):
            if hasattr(place, name):
                return getattr(place, name)
        raise LookupError(f"keras has no {name}")

    def _callable(self, name: str, arguments: Mapping[str, Any]) -> Callable[[Any], Any]:
        found: Any = self._find(name)
        if not inspect.isclass(found):
            return lambda x: found(self._keras.ops.convert_to_tensor(x), **arguments)
        accepted = inspect.signature(found).parameters
        settings = {key: value for key, value in arguments.items() if key in accepted}
        layer: Any = found(**settings)
        learned = {key: value for key, value in arguments.items() if key not in accepted}

        def apply(x: Any) -> Any:
            tensor = self._keras.ops.convert_to_tensor(x)
            if learned and not layer.built:
                layer.build(tensor.shape)
                for key, value in learned.items():
                    weight = getattr(layer, key)
                    weight.assign(np.full(weight.shape, value))
            return layer(tensor)

        return apply


class Onnx:
    """ONNX's operators through the standard's own reference evaluator, in float32."""

    dtype = "float32"

    def __init__(self) -> None:
        import onnx  # noqa: PLC0415
        import onnx.reference  # noqa: PLC0415

        self._onnx = onnx

    def defaults(self, name: str) -> dict[str, Any]:
        attributes = self._onnx.defs.get_schema(name).attributes
        given = {
            key: self._onnx.helper.get_attribute_value(each.default_value)
            for key, each in attributes.items()
            if each.default_value.type
        }
        return {key: value for key, value in given.items() if type(value) in {int, float}}

    def apply(self, name: str, arguments: Mapping[str, Any]) -> Apply:
        helper, defs = self._onnx.helper, self._onnx.defs
        schema = defs.get_schema(name)
        inputs = [each.name for each in schema.inputs]
        attributes = {key: value for key, value in arguments.items() if key in schema.attributes}
        extra = {key: value for key, value in arguments.items() if key not in schema.attributes}
        assert extra.keys() <= set(inputs[1:]), f"{name} has no {sorted(extra)}"
        used = [key if key in extra else "" for key in inputs[1:]]
        while used and not used[-1]:
            used.pop()
        halved = schema.min_input == 2 and not used  # two inputs of one shape: the halves of a row
        first = ["x_first", "x_second"] if halved else ["x_in"]
        node = helper.make_node(name, [*first, *used], ["y_out"], **attributes)
        kind = self._onnx.TensorProto.FLOAT
        infos = [helper.make_tensor_value_info(key, kind, None) for key in (*first, *filter(None, used))]
        made = helper.make_tensor_value_info("y_out", kind, None)
        opset = helper.make_opsetid("", schema.since_version)
        model = helper.make_model(helper.make_graph([node], name, infos, [made]), opset_imports=[opset])
        evaluator = self._onnx.reference.ReferenceEvaluator(model)
        constants = {key: np.float32(value) for key, value in extra.items()}

        def apply(x: Array) -> Array:
            with np.errstate(all="ignore"):
                parts = np.split(x.astype(np.float32), len(first), axis=-1)
                feed = dict(zip(first, parts, strict=True))
                answered: Array = evaluator.run(None, {**feed, **constants})[0]
            return answered

        return apply

    def differentiate(self, name: str, arguments: Mapping[str, Any]) -> None:
        """ONNX's operators have no derivatives."""


FRAMEWORKS: Mapping[str, Any] = {"torch": Torch, "jax": Jax, "keras": Keras, "onnx": Onnx}
