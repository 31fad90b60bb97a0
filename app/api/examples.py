"""Examples for the OpenAPI document. Each is a complete request; the tests run them.

They are made from the registry, with the first activation of each kind.
"""

from __future__ import annotations

import json
from typing import Any

from app.core.activations import REGISTRY
from app.core.activations.definition import Activation, Elementwise, Rowwise

_INPUTS = [[-2.0, -0.5], [0.0, 3.0]]


def _first(kind: type[Activation], *, learnable: bool = False) -> Activation | None:
    for entry in REGISTRY.values():
        given = all(each.default is not None for each in entry.parameters)
        learns = any(each.learnable for each in entry.parameters)
        if isinstance(entry, kind) and given and (learns or not learnable):
            return entry
    return None


def activate_examples() -> dict[str, Any]:
    """Requests for ``POST /activate``: values, gradients, a framework's name, and a Jacobian."""
    examples: dict[str, Any] = {}

    def add(key: str, summary: str, **fields: Any) -> None:
        examples[key] = {"summary": summary, "value": fields}

    if plain := _first(Elementwise):
        add("values", "Values and two derivatives", function=plain.name, inputs=_INPUTS, order=2)
        add(
            "non_finite",
            "Non-finite numbers, in bfloat16",
            function=plain.name,
            inputs=[-1.5, "NaN", "Infinity", "-Infinity"],
            dtype="bfloat16",
        )
    if learned := _first(Elementwise, learnable=True):
        params = {name: 2 * value for name, value in learned.defaults.items()}
        add(
            "gradients",
            "Gradients of inputs and of a learned parameter",
            function=learned.name,
            inputs=_INPUTS,
            params=params,
            upstream=[[1.0, 1.0], [1.0, 1.0]],
        )
    if prefixed := _prefixed():
        add("framework", "A framework's own name and defaults", function=prefixed, inputs=_INPUTS)
    if mixing := _first(Rowwise):
        add("mixing", "A function that mixes elements: its Jacobian", function=mixing.name, inputs=_INPUTS)
    return examples


def _prefixed() -> str | None:
    """A framework's name whose parameters all have defaults."""
    for binding in (each for entry in REGISTRY for each in REGISTRY.bindings(entry)):
        arguments = binding.name.arguments
        if arguments and all(each.default is not None for each in arguments):
            return binding.spellings[0]
    return None


def describe_examples() -> dict[str, Any]:
    """Requests for ``POST /functions/describe``: a formula with a parameter."""
    value = {"function": "formula:x * tanh(softplus(beta * x))", "params": {"beta": 1.0}}
    return {"formula": {"summary": "A formula with a parameter", "value": value}}


def verify_examples() -> dict[str, Any]:
    """A request for ``POST /verify``: a value, a false zero and an infinity."""
    entry = _first(Elementwise)
    if entry is None:
        return {}
    value = {
        "function": entry.name,
        "dtype": "float32",
        "inputs": [0.5, -1.0, "Infinity"],
        "outputs": [0.5, 0.0, "Infinity"],
    }
    return {"few": {"summary": "Three numbers in float32", "value": value}}


def mean_field_examples() -> dict[str, Any]:
    """Requests for ``POST /mean-field``: one point, and a small phase diagram."""
    entry = _first(Elementwise)
    if entry is None:
        return {}
    place = {"activation": entry.name, "sigma_w": 1.5, "sigma_b": 0.05}
    diagram = {**place, "sigma_w": [[1.0, 2.0, 4.0]], "sigma_b": [[0.0], [0.5]]}
    return {
        "place": {"summary": "One point", "value": place},
        "diagram": {"summary": "A phase diagram of 2 × 3 cells", "value": diagram},
    }


def gradient_flow_examples() -> dict[str, Any]:
    """Requests for ``POST /gradient-flow``: plain layers, own sizes and σ_w, and each kind of block."""
    entry = _first(Elementwise)
    if entry is None:
        return {}
    deep = {"activation": entry.name, "depth": 20, "width": 128, "networks": 2}
    shaped = {"activation": entry.name, "width": [64, 128, 10], "init": {"sigma_w": 1.5}, "networks": 2}
    transformer = {
        "activation": entry.name,
        "depth": 4,
        "width": 128,
        "batch": 16,
        "init": "lecun_normal",
        "block": {"kind": "transformer", "heads": 4, "mlp_ratio": 4, "norm": "pre", "causal": True},
        "dropout": {"rate": 0.1},
        "networks": 2,
    }
    residual = {
        "activation": entry.name,
        "depth": 24,
        "width": 64,
        "block": {"kind": "residual", "matrices": 2, "norm": None, "branch": "depth_scaled"},
        "networks": 2,
    }
    recurrent = {
        "activation": entry.name,
        "depth": 30,
        "width": 64,
        "batch": 4,
        "init": "torch_default",
        "block": {"kind": "recurrent", "cell": "lstm", "forget_bias": 1.0},
        "networks": 2,
    }
    convolution = {
        "activation": entry.name,
        "depth": 8,
        "width": 16,
        "batch": 4,
        "init": "he_normal",
        "block": {"kind": "convolution", "kernel": 3, "size": 8, "dimensions": 2, "padding": "zeros"},
        "networks": 2,
    }
    return {
        "deep": {"summary": "Twenty layers", "value": deep},
        "shaped": {"summary": "Custom layer sizes and σ_w", "value": shaped},
        "transformer": {"summary": "Transformer blocks; the batch is one sequence", "value": transformer},
        "residual": {"summary": "Residual blocks whose branches are scaled by the depth", "value": residual},
        "recurrent": {"summary": "An LSTM over thirty time steps", "value": recurrent},
        "convolution": {"summary": "Convolutions of 8 × 8 images with 16 channels", "value": convolution},
    }


def drawn_examples() -> dict[str, Any]:
    """A request for ``POST /plots/gradient-flow-answers``: the part of an answer that is drawn."""
    layers = [
        {
            "layer": layer,
            "gradient_log10_rms": {"median": value, "low": value - 0.1, "high": value + 0.1},
            "activation_mean": {"median": 0.5, "low": 0.4, "high": 0.6},
        }
        for layer, value in enumerate((-1.4, -0.8, -0.2), start=1)
    ]
    value = {"networks": [{"label": "three layers", "answer": {"layers": layers}}]}
    return {"answer": {"summary": "The drawn part of an answer", "value": value}}


def infer_examples() -> dict[str, Any]:
    """Requests for ``POST /v2/models/{name}/infer``, valid for any model."""
    tensor = {
        "name": "inputs",
        "shape": [2, 2],
        "datatype": "FP32",
        "data": [value for row in _INPUTS for value in row],
    }
    return {
        "all": {"summary": "All outputs", "value": {"id": "42", "inputs": [tensor]}},
        "chosen": {
            "summary": "Only the derivative",
            "value": {"inputs": [tensor], "outputs": [{"name": "derivative"}]},
        },
    }


def sweep_examples() -> dict[str, Any]:
    """A request for ``POST /gradient-flow/sweep``: two initialisations at three depths."""
    entry = _first(Elementwise)
    if entry is None:
        return {}
    base = {"activation": entry.name, "width": 64, "networks": 2}
    grid = {"init": ["lecun_normal", "critical"], "depth": [5, 10, 20]}
    return {"grid": {"summary": "Two initialisations at three depths", "value": {"base": base, "grid": grid}}}


def picture_examples() -> dict[str, dict[str, Any]]:
    """Query fields for each ``GET`` of a picture, by path."""
    entry = _first(Elementwise)
    if entry is None:
        return {}
    network = {"activation": entry.name, "depth": 20, "width": 128, "networks": 2}
    diagram = {"activation": entry.name, "sigma_w": [[1, 5, 9]], "sigma_b": [[0], [1]]}
    fields: dict[str, dict[str, Any]] = {
        "functions": {"name": list(REGISTRY)[:2], "order": [0, 1]},
        "gradient-flow": {"request": [json.dumps(network)]},
        "mean-field": {"request": json.dumps(diagram)},
        "training": {"request": json.dumps(training_examples()["rings"]["value"])},
    }
    watched = {**training_examples()["rings"]["value"], "watch": {"boundary": 20}}
    return {
        **{f"/plots/{name}.{{form}}": values for name, values in fields.items()},
        "/plots/training-film.svg": {"request": json.dumps(watched)},
    }


def training_examples() -> dict[str, Any]:
    """Requests for ``POST /training``: two activations on two rings, and the caller's own data."""
    names = [
        name for name, entry in REGISTRY.items() if isinstance(entry, Elementwise) and not entry.parameters
    ]
    short = {"activations": names[:2], "hidden": [8, 8], "steps": 40, "runs": 2, "frames": 4}
    own = {**short, "data": {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "targets": [0, 1, 1, 0]}}
    return {
        "rings": {"summary": "Two activations on two rings", "value": short},
        "own": {"summary": "Your own data: exclusive or", "value": own},
    }
