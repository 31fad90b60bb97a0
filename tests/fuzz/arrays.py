"""Bodies with arrays: ``.npy``, ``.npz``, safetensors, forms, the inference protocol, JSON."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
from typing import Any
from urllib.parse import quote

from tests.fuzz.kinds import MARKER, SIMULATED, Case, damaged, request

LENGTHS = (0, 0, 1, 1, 2, 3, 5, 2**16, 2**24, 2**31, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, 10**30, -1)
"""Lengths of axes: mostly small, zero, or at a limit."""

DTYPES = (
    "<f8",
    "<f8",
    "<f8",
    "<f4",
    "<f2",
    "<i8",
    "<u8",
    "|i1",
    "|u1",
    ">f8",
    "<c16",
    "|O",
    "|V8",
    "<M8[s]",
    "|b1",
)
NAMES = ("sigmoid", "relu", "softmax", "glu", "gelu", "prelu", "maxout", "snake", "hard_tanh", "tanh")
ODD: tuple[Any, ...] = (
    0, 1, -1, 0.5, -0.0, 1e308, 5e-324, 2**53 + 1, 2**64, "NaN", "Infinity", "-Infinity", None, True, "", {},
    [], [[]], MARKER.decode(), {MARKER.decode(): 1}, 10**400, -1e-300,
)  # fmt: skip


FLOW_FIELDS = (
    "activation", "params", "depth", "width", "batch", "init", "sigma_b", "normalization", "residual",
    "inputs", "upstream", "networks", "seed", "dtype", "engine", "weights", MARKER.decode(),
)  # fmt: skip


def shape(source: random.Random) -> tuple[int, ...]:
    """A shape, often small, sometimes with huge and empty axes."""
    if source.random() < 0.5:
        return tuple(source.randrange(4) for _ in range(source.randrange(4)))
    return tuple(source.choice(LENGTHS) for _ in range(source.choice((0, 1, 2, 2, 3, 4, 33, 65))))


def npy_file(source: random.Random, *, honest: float = 0.6) -> bytes:
    """A ``.npy`` file, mostly with the declared number of bytes."""
    dims, dtype = shape(source), source.choice(DTYPES)
    order = source.choice(("False", "True"))
    text = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {dims}, }}".encode()
    if source.random() < 0.3:
        text = damaged(source, text)
    if source.random() < 0.05:
        text = source.choice((b"(", b" ", b"{", b"[", b"-", b"1,")) * source.randrange(5000) + text
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    count = 1
    for length in dims:
        count *= max(length, 0)
    size = count * 8 if 0 <= count < 1000 and source.random() < honest else source.randrange(200)
    data = source.randbytes(size)
    version, form = ((1, "<H"), (2, "<I"))[source.random() < 0.2]
    return b"\x93NUMPY" + bytes((version, 0)) + struct.pack(form, len(text) % 65536) + text + data


def npy(source: random.Random) -> Case:
    """``POST /activate`` with one array as body and the other fields in the query string."""
    query = {"function": source.choice(NAMES)}
    for key, values in (
        ("order", ("0", "1", "2", "3", "-1", "x")),
        ("dtype", ("float32", "bfloat16", "float8_e5m2", MARKER.decode())),
        ("axis", ("0", "-1", "5", "null")),
        ("params", ('{"alpha":[1,2]}', "{}", '{"' + MARKER.decode() + '":1}', "[" * 50, '{"alpha":1e999}')),
        ("upstream", ("[0]", "[[1],[2]]", "null", "[[],[]]")),
    ):
        if source.random() < 0.2:
            query[key] = source.choice(values)
    text = "&".join(f"{key}={quote(value)}" for key, value in query.items())
    accept = source.choice(("*/*", "application/x-npy", "application/json"))
    body = damaged(source, npy_file(source), 1 if source.random() < 0.3 else 0)
    return request(f"/activate?{text}", body, "application/x-npy", f"Accept: {accept}")


def archive(source: random.Random) -> bytes:
    """A NumPy archive of a few members."""
    warnings.filterwarnings("ignore", "Duplicate name")  # duplicates are intended
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", source.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
        for number in range(source.randrange(5)):
            name = source.choice(
                (f"{number}.weight", f"{number}.bias", f"arr_{number}", MARKER.decode(), "b")
            )
            file.writestr(f"{name}.npy", npy_file(source, honest=0.9))
    return damaged(source, stream.getvalue(), source.choice((0, 0, 1, 4)))


def tensors(source: random.Random) -> bytes:
    """A safetensors file."""
    header: dict[str, Any] = {}
    place = 0
    for number in range(source.randrange(5)):
        dims = [length for length in shape(source) if source.random() < 0.9]
        size = source.choice((0, 8, 16, 32, 72, 2**40))
        name = source.choice((f"{number}.weight", f"{number}.bias", MARKER.decode()))
        dtype = source.choice(("F64", "F64", "F32", "F16", "BF16", "I8", MARKER.decode()))
        offsets = [place, place + size] if source.random() < 0.9 else [source.choice(LENGTHS), place]
        header[name] = {"dtype": dtype, "shape": dims, "data_offsets": offsets}
        place += size if size < 1000 else 0
    if source.random() < 0.2:
        header["__metadata__"] = source.choice(ODD)
    text = damaged(source, json.dumps(header).encode(), source.choice((0, 0, 1, 3)))
    length = len(text) if source.random() < 0.95 else source.choice((0, 2**40, 2**63, len(text) + 1))
    return struct.pack("<Q", length) + text + source.randbytes(place)


def flow_fields(source: random.Random) -> dict[str, Any]:
    """A request for a small network."""
    fields: dict[str, Any] = {"activation": source.choice(NAMES), "networks": 1, "width": 8, "depth": 2}
    for _ in range(source.randrange(4)):
        name = source.choice(FLOW_FIELDS)
        fields[name] = value(source, 3)
    if source.random() < 0.3:
        fields["inputs"] = source.choice(
            ([[0.5, -0.5]], [[1.0] * 8] * 3, {"kind": "gaussian", "variance": 0.0})
        )
    if source.random() < 0.3:
        fields["width"] = source.choice(([8, 8, 2], [1], [2**53, 2], 1, 10**12, [1] * 50))
    if source.random() < 0.3:
        fields["init"] = source.choice(
            ("critical", "orthogonal", "he_normal", {"sigma_w": 0}, {"sigma_w": 1e6}, {"sigma_w": "NaN"})
        )
    return fields


def value(source: random.Random, depth: int) -> Any:
    """Any JSON value, mostly an odd one."""
    if depth and source.random() < 0.4:
        return [value(source, depth - 1) for _ in range(source.randrange(4))]
    if depth and source.random() < 0.1:
        return {source.choice(("kind", "alpha", "sigma_w", MARKER.decode())): value(source, depth - 1)}
    return source.choice(ODD)


def written(source: random.Random, fields: Any) -> bytes:
    """JSON text, sometimes damaged."""
    return damaged(source, json.dumps(fields).encode(), source.choice((0, 0, 0, 1, 3)))


def form(source: random.Random, file: bytes, damage: int) -> Case:
    """A form with the two parts of a real network."""
    fields = {"activation": source.choice(NAMES), "inputs": [[0.5, -0.5]]}
    parts = [
        (b"request", b"application/json", written(source, fields)),
        (b"weights", b"application/octet-stream", file),
    ]
    if damage:
        parts = source.sample(parts, source.randrange(3)) + source.choices(parts, k=source.randrange(2))
    pieces = []
    for name, kind, data in parts:
        head = b'Content-Disposition: form-data; name="' + name + b'"\r\nContent-Type: ' + kind
        pieces.append(b"--xyz\r\n" + damaged(source, head, damage) + b"\r\n\r\n" + data + b"\r\n")
    body = damaged(source, b"".join([*pieces, b"--xyz--\r\n"]), damage)
    return request("/gradient-flow", body, "multipart/form-data; boundary=xyz", timeout=SIMULATED)


def npz(source: random.Random) -> Case:
    """A form with a NumPy archive."""
    return form(source, archive(source), 0)


def safetensors(source: random.Random) -> Case:
    """A form with a safetensors file."""
    return form(source, tensors(source), 0)


def multipart(source: random.Random) -> Case:
    """A damaged form."""
    return form(source, source.choice((archive, tensors))(source), 3)


def protocol(source: random.Random) -> Case:
    """An inference request, with or without raw bytes after it."""
    inputs, binary = [], b""
    for _ in range(source.choice((1, 1, 1, 0, 2))):
        dims: Any = list(shape(source)) if source.random() < 0.9 else value(source, 2)
        size = source.choice((0, 2, 4, 8, 16, 24))
        tensor: dict[str, Any] = {
            "name": source.choice(("inputs", "inputs", "inputs", "alpha", MARKER.decode())),
            "shape": dims,
            "datatype": source.choice(("FP64", "FP32", "FP16", "BF16", "INT8", MARKER.decode())),
        }
        if source.random() < 0.5:
            tensor["data"] = source.choice(([], [0.5], [[1, 2]], [[], []], value(source, 3)))
        else:
            tensor["parameters"] = {"binary_data_size": size if source.random() < 0.9 else value(source, 1)}
            binary += source.randbytes(size)
        inputs.append(tensor)
    fields: dict[str, Any] = {"inputs": inputs}
    if source.random() < 0.3:
        fields["outputs"] = source.choice(
            ([{"name": "derivative"}], [{"name": MARKER.decode()}], value(source, 2))
        )
    if source.random() < 0.3:
        fields["parameters"] = source.choice(
            (
                {"alpha": 2.0},
                {"binary_data_output": True},
                {"axis": 0},
                {MARKER.decode(): 1},
                value(source, 2),
            )
        )
    text = written(source, fields)
    length = len(text) if source.random() < 0.95 else source.choice((0, -1, 10**20, len(text) + 1))
    headers = [f"Inference-Header-Content-Length: {length}"] if binary or source.random() < 0.2 else []
    path = f"/v2/models/{source.choice(NAMES)}/infer"
    return request(path, text + binary, "application/octet-stream", *headers)


def activate(source: random.Random) -> Case:
    """``POST /activate`` in JSON."""
    fields: dict[str, Any] = {"function": source.choice(NAMES), "inputs": value(source, 4)}
    for _ in range(source.randrange(3)):
        name = source.choice(("params", "order", "dtype", "axis", "upstream", "function", MARKER.decode()))
        fields[name] = value(source, 3)
    if source.random() < 0.3:
        names = ("alpha", "beta", "negative_slope", "min_val", "max_val", "weight", MARKER.decode())
        fields["params"] = {source.choice(names): value(source, 2) for _ in range(source.randrange(3))}
    return request("/activate", written(source, fields), "application/json")


def flow(source: random.Random) -> Case:
    """``POST /gradient-flow`` in JSON."""
    body = written(source, flow_fields(source))
    return request("/gradient-flow", body, "application/json", timeout=SIMULATED)


def sweep(source: random.Random) -> Case:
    """``POST /gradient-flow/sweep``."""
    grid: dict[str, Any] = {}
    for _ in range(source.randrange(1, 3)):
        path = source.choice(
            ("depth", "init.sigma_w", "seed", "activation", "a.b.c", "width", "inputs.variance")
        )
        grid[path] = source.choice(([1, 2], [0.5], ["tanh"], [], value(source, 3)))
    fields: dict[str, Any] = {"base": flow_fields(source), "grid": grid}
    if source.random() < 0.2:
        fields["cells"] = value(source, 2)
    # A cell's line repeats the requested point if its values are short, so the marker would be an echo.
    body = written(source, fields).replace(MARKER, b"named")
    return request("/gradient-flow/sweep", body, "application/json", timeout=SIMULATED)
