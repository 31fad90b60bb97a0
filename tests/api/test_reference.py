"""``GET /functions/{name}/reference.*``: reference files."""

from __future__ import annotations

import io
import json
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.arithmetic.formats import FORMATS, round_to
from tests.conftest import InProcess


def load(body: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in a safetensors file, float8 included (the library's NumPy reader does not support it)."""
    size = int.from_bytes(body[:8], "little")
    header = json.loads(body[8 : 8 + size])
    names = {"BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F32": "float32"}
    return {
        name: np.frombuffer(body[8 + size :][slice(*each["data_offsets"])], FORMATS[names[each["dtype"]]])
        for name, each in header.items()
        if name != "__metadata__"
    }


def url(name: str, form: str = "safetensors", **query: object) -> str:
    return f"/functions/{name}/reference.{form}?" + "&".join(f"{key}={value}" for key, value in query.items())


def test_every_number_of_a_short_format_against_mpmath(client: InProcess) -> None:
    answer = client.get(url("tanh", dtype="float8_e4m3fn", order=1))
    assert answer.status_code == 200, answer.text
    found = load(answer.content)
    assert found.keys() == {"inputs", "outputs", "derivative"}
    assert {each.dtype.name for each in found.values()} == {"float8_e4m3fn"}
    assert np.array_equal(found["inputs"].view(np.uint8), np.arange(256, dtype=np.uint8))
    for name, function in (("outputs", mpmath.tanh), ("derivative", lambda x: mpmath.sech(x) ** 2)):
        for x, y in zip(found["inputs"].astype(float), found[name].astype(float), strict=True):
            exact = np.array([float(function(mpmath.mpf(x)))]) if np.isfinite(x) else np.array([np.nan])
            assert np.array_equal(
                round_to(exact, FORMATS["float8_e4m3fn"]).astype(float), [y], equal_nan=True
            )


def test_the_metadata_describe_the_file(client: InProcess) -> None:
    body = client.get(url("torch:LeakyReLU", dtype="bfloat16", order=0)).content
    size = int.from_bytes(body[:8], "little")
    metadata = json.loads(body[8 : 8 + size])["__metadata__"]
    assert metadata["function"] == "leaky_relu"
    assert json.loads(metadata["params"]) == {"negative_slope": 0.01}
    assert (metadata["dtype"], metadata["order"], metadata["unproved"]) == ("bfloat16", "0", "0")
    assert metadata["inputs"].startswith("every number")


def archived(body: bytes) -> dict[str, NDArray[np.float64]]:
    with np.load(io.BytesIO(body)) as file:
        return dict(file)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hard_inputs_of_a_long_format(client: InProcess, dtype: str) -> None:
    found = archived(client.get(url("gelu", "npz", dtype=dtype, order=1)).content)
    metadata = json.loads(str(found.pop("metadata")))
    assert "closest to the middle" in metadata["inputs"]
    x, y = found["inputs"].astype(np.float64), found["outputs"]
    assert {each.dtype.name for each in found.values()} == {dtype}
    assert len(x) > 3000
    assert np.isnan(x[-1])
    assert {
        -np.inf,
        np.inf,
        0.0,
        float(np.finfo(dtype).max),
        float(np.finfo(dtype).smallest_subnormal),
    } <= set(x)
    assert sorted(np.signbit(x[x == 0])) == [False, True]
    closest = 1.0
    with mpmath.workdps(50):
        for place in range(0, len(x) - 1, 37):
            if not np.isfinite(x[place]) or abs(x[place]) > 30:
                continue
            exact = mpmath.mpf(x[place]) * mpmath.ncdf(mpmath.mpf(x[place]))
            near = np.array(float(exact), dtype)
            spacing = np.spacing(abs(near)) if near else np.finfo(dtype).smallest_subnormal
            off = abs(mpmath.mpf(float(y[place])) - exact) / mpmath.mpf(float(spacing))
            assert off <= 0.5
            closest = min(closest, float(abs(off - 0.5)))
    assert closest < 2e-3  # some are hard to round


def test_files_have_distinct_etags(client: InProcess) -> None:
    first = client.get(url("silu", dtype="float8_e5m2"))
    tag = first.headers["ETag"]
    again = client.get(url("silu", dtype="float8_e5m2"), headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(url("silu", dtype="float8_e5m2", order=0)).headers["ETag"] != tag
    assert client.get(url("silu", "npz", dtype="float8_e5m2")).headers["ETag"] != tag


def test_formats_without_a_name_travel_as_float32(client: InProcess) -> None:
    found = load(client.get(url("relu", dtype="float6_e3m2fn")).content)
    assert found["outputs"].dtype == np.float32
    assert len(found["inputs"]) == 64
    assert found["outputs"].max() == 28


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (url("tahn"), 404),
        (url("softmax"), 422),
        (url("tanh", dtype="bfloat17"), 422),
        (url("tanh", order=3), 422),
        (url("tanh", "zip"), 422),
        (url("tanh", colour="red"), 422),
        (url("ggml:nothing"), 404),
    ],
)
def test_unknown_names_and_invalid_fields(client: InProcess, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.slow
def test_every_elementwise_entry_has_its_file(client: InProcess) -> None:
    for entry in client.get("/functions").json()["functions"]:
        for dtype in ("float8_e4m3fn", "float32") if entry["kind"] == "elementwise" else ():
            answer = client.get(url(entry["name"], dtype=dtype))
            assert answer.status_code == 200, (entry["name"], answer.text)
            body = answer.content
            metadata = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
            assert metadata["unproved"] == "0", entry["name"]
