"""Formulas in all routes that take them, verification and training."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

from tests.fuzz.arrays import NAMES, value, written
from tests.fuzz.kinds import MARKER, SIMULATED, Case, damaged, request

LEAVES = ("x", "x", "x", "a", "1", "0", "2", "0.5", "-1", "1e-3", "1e300", "1e-300", "50", "pi", "9**9")
CALLS = ("sin", "exp", "log", "sqrt", "abs", "erf", "tanh", "softplus", "gelu", "silu", "elu", "relu", "Gelu")
BETWEEN = ("+", "-", "*", "/", "**", "<", ">=", "==", "//", "and", ".", ",", "=")
TEXTS = (
    "__class__",
    "().__class__.__mro__",
    "lambda: x",
    "x" * 2000,
    "(" * 1000,
    "9**9**9**9",
    "1e999999*x",
    "ｘ * tanh(x)",
    "x; import os",
    "f'{x}'",
    "x if x else",
    "gelu(x, alpha=2)",
    "elu(x, alpha=a)",
    "0x10 * x",
    "1_000 * x",
    "x\0",
    "",
    MARKER.decode(),
)


def text(source: random.Random, depth: int = 5) -> str:
    """A formula, or nearly one."""
    if depth == 0 or source.random() < 0.2:
        return source.choice(LEAVES)
    match source.randrange(5):
        case 0:
            return f"{source.choice(CALLS)}({text(source, depth - 1)})"
        case 1:
            return f"max({text(source, depth - 1)}, {text(source, depth - 1)})"
        case 2:
            tree = [text(source, depth - 2 if depth > 1 else 0) for _ in range(4)]
            return f"({tree[0]} if {tree[1]} < {tree[2]} else {tree[3]})"
        case _:
            sign = source.choice(BETWEEN[:5]) if source.random() < 0.95 else source.choice(BETWEEN)
            return f"({text(source, depth - 1)} {sign} {text(source, depth - 1)})"


def name(source: random.Random) -> str:
    """A ``formula:`` in place of a function's name."""
    if source.random() < 0.1:
        return "formula:" + source.choice(TEXTS)
    whole = text(source)
    if source.random() < 0.2:
        whole = damaged(source, whole.encode(), 2).decode("utf-8", "replace")
    return "formula:" + whole


def formula(source: random.Random) -> Case:
    """A request for a formula's values, its description, or a picture of it."""
    fields: dict[str, Any] = {"function": name(source), "params": {"a": source.choice((2, -0.5, 0, 1e300))}}
    match source.randrange(4):
        case 0:
            return request("/functions/describe", written(source, fields), "application/json")
        case 1:
            path = f"/plots/functions.vl.json?name={quote(fields['function'])};a=2&order=2"
            return Case(f"GET {path} HTTP/1.1\r\nHost: fuzz\r\n\r\n".encode())
        case _:
            fields |= {"inputs": value(source, 3), "order": source.choice((0, 1, 2, 3, 8, 9))}
            return request("/activate", written(source, fields), "application/json", timeout=SIMULATED)


def verification(source: random.Random) -> Case:
    """``POST /verify``."""
    numbers = [source.choice((0.0, -1.5, 1e300, 5e-324, "NaN", "-Infinity")) for _ in range(4)]
    fields: dict[str, Any] = {
        "function": source.choice((*NAMES, name(source))),
        "dtype": source.choice(("float32", "bfloat16", "float8_e4m3fn", "float64", MARKER.decode())),
        "inputs": source.choice((numbers, [numbers], None, value(source, 2))),
        "outputs": source.choice((numbers, [numbers], [], value(source, 2))),
    }
    if source.random() < 0.4:
        key = source.choice(("derivative", "second_derivative", "tolerance_ulp", "params", "compute_dtype"))
        fields[key] = source.choice((numbers, value(source, 2)))
    return request("/verify", written(source, fields), "application/json", timeout=SIMULATED)


def training(source: random.Random) -> Case:
    """``POST /training`` with tiny networks."""
    fields: dict[str, Any] = {
        "activations": source.choice((["tanh"], ["relu", "prelu"], [name(source)], value(source, 2))),
        "data": {"kind": source.choice(("rings", "xor", "line", MARKER.decode())), "count": 16},
        "hidden": source.choice(([4], [2, 2], [], value(source, 1))),
        "steps": source.choice((1, 3, 0)),
        "runs": 1,
    }
    for _ in range(source.randrange(3)):
        key = source.choice(("optimizer", "watch", "loss", "init", "frames", "seed", "data", "runs"))
        fields[key] = value(source, 2)
    body = written(source, fields)
    return request("/training", body, "application/json", "Request-Timeout: 3", timeout=SIMULATED)
