"""``activation-lab verify`` and the client's `verify`, answered in this process."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from app.client import AsyncClient, verify
from app.command import FAULTY, PATIENCE, main
from app.contract.verify import VerifyResponse
from app.settings import Settings

ALL = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e5m2)


@pytest.fixture
def relu() -> NDArray[Any]:
    wide = ALL.astype(np.float32)
    found: NDArray[Any] = np.where(np.isnan(wide), wide, np.maximum(wide, 0)).astype(ALL.dtype)
    return found


def files(folder: Path, outputs: NDArray[Any]) -> dict[str, Path]:
    found = {name: folder / f"outputs.{name}" for name in ("npy", "npz", "safetensors")}
    np.save(found["npy"], outputs)
    np.savez(found["npz"], outputs=outputs)
    safetensors.numpy.save_file({"outputs": outputs}, found["safetensors"])
    return found


@pytest.mark.parametrize("kind", ["npy", "npz", "safetensors"])
def test_every_kind_of_file(
    kind: str, relu: NDArray[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = files(tmp_path, relu)[kind]
    assert main(["verify", "relu", "--dtype", "float8_e5m2", str(path)]) == 0
    assert "correctly_rounded" in capsys.readouterr().out


def test_a_faulty_kernel_as_a_table_and_as_json(
    relu: NDArray[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doubled = (2 * relu.astype(np.float32)).astype(relu.dtype)
    arguments = ["verify", "relu", "--dtype", "float8_e5m2", str(files(tmp_path, doubled)["npy"])]
    assert main(arguments) == FAULTY
    shown = capsys.readouterr().out
    assert "faulty" in shown
    assert "correctly rounded" in shown
    assert main([*arguments, "--json"]) == FAULTY
    answer = VerifyResponse.model_validate(json.loads(capsys.readouterr().out))
    assert answer.verdict.state == "faulty"


def test_finding_the_function(relu: NDArray[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = files(tmp_path, relu)["safetensors"]
    main(["verify", "?", str(path)])
    assert "candidates" in capsys.readouterr().out


def test_with_inputs_and_a_parameter(tmp_path: Path) -> None:
    x = np.linspace(-2, 2, 64, dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.where(x > 0, x, np.float32(0.1) * x))
    arguments = ["verify", "leaky_relu", str(tmp_path / "y.npy"), "--inputs", str(tmp_path / "x.npy")]
    assert main([*arguments, "--param", "negative_slope=0.3"]) == FAULTY
    assert main([*arguments, "--param", "negative_slope=0.1", "--tolerance", "2"]) == 0


def test_a_slope_for_each_channel(tmp_path: Path) -> None:
    x = np.linspace(-2, 2, 24, dtype=np.float32).reshape(2, 3, 4)
    slopes = np.array([0.25, 0.5, 2.0], np.float32)[:, None]
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.where(x > 0, x, slopes * x))
    arguments = ["verify", "prelu", str(tmp_path / "y.npy"), "--inputs", str(tmp_path / "x.npy")]
    assert main([*arguments, "--param", "weight=0.25,0.5,2", "--axis", "1"]) == 0
    assert main([*arguments, "--param", "weight=0.25,2,0.5", "--axis", "1"]) == FAULTY


def test_a_service_that_is_busy_is_asked_again(
    relu: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its whole file, also where the function is to be found."""
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(len(request.read()))
        if len(asked) < 3:
            return httpx.Response(503, headers={"Retry-After": "0"})
        problem = {"type": "about:blank", "title": "no", "status": 422, "detail": "enough"}
        return httpx.Response(422, json=problem, headers={"Content-Type": "application/problem+json"})

    transport = httpx.MockTransport(answer)
    monkeypatch.setattr("app.command.AsyncClient", partial(AsyncClient, transport=transport))
    path = files(tmp_path, relu)["safetensors"]
    assert main(["verify", "?", str(path), "--server", "http://lab.test"]) == 1
    assert len(asked) == 3
    assert asked[0] == asked[1] == asked[2] > 256


@pytest.mark.parametrize("arguments", [["nowhere.npy"], ["raw.npy"], ["text.npy"]])
def test_unusable_files(
    arguments: list[str], relu: NDArray[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "raw.npy", relu)
    (tmp_path / "text.npy").write_text("no array")
    assert main(["verify", "relu", str(tmp_path / arguments[0])]) == 1
    assert "activation-lab:" in capsys.readouterr().err


def test_the_client_sends_formats_as_they_are(relu: NDArray[Any]) -> None:
    exchange = verify("relu", relu.astype(np.float16), derivative=None)
    assert exchange.files is not None
    assert json.loads(exchange.files["request"][1]) == {"function": "relu", "dtype": "float16"}
    assert safetensors.numpy.load(exchange.files["arrays"][1])["outputs"].dtype == np.float16
    exchange = verify(None, relu)
    assert exchange.files is not None
    assert json.loads(exchange.files["request"][1]) == {"function": None, "dtype": "float8_e5m2"}


def test_a_local_verification_has_no_request_timeout(
    relu: NDArray[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Settings] = []

    def create_app(settings: Settings) -> None:
        given.append(settings)
        sys.exit()

    monkeypatch.setattr("app.main.create_app", create_app)
    with pytest.raises(SystemExit):
        main(["verify", "relu", str(files(tmp_path, relu)["npz"]), "--dtype", "float8_e5m2"])
    assert given[0].request_timeout == PATIENCE
