"""How the page's files are served: with a policy, compressed, with ETags; and the catalogue likewise."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.api.page import FILES, MEDIA_TYPES
from app.core.activations import REGISTRY
from app.pictures import vega
from tests.conftest import InProcess, Server

NAMES = sorted(path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.suffix in MEDIA_TYPES)


@pytest.mark.parametrize("path", ["/", *(f"/page/{name}" for name in NAMES)])
def test_each_file_is_compressed_and_revalidated(client: InProcess, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-encoding"] == "gzip"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert (
        plain.content
        == answer.content
        == (FILES / (path.removeprefix("/page/").strip("/") or "index.html")).read_bytes()
    )


def test_other_pages_may_frame_the_scenes_and_nothing_else(client: InProcess) -> None:
    for path in ("/", "/?embed=0", "/?embed=", "/page/index.html?embed=1", "/docs?embed=1"):
        assert "frame-ancestors 'none'" in client.get(path).headers["content-security-policy"], path
    framed = client.get("/?embed=1")
    assert framed.headers["content-security-policy"].endswith("; frame-ancestors *")
    assert "x-frame-options" not in framed.headers
    assert framed.content == client.get("/").content


def test_an_unknown_file_is_a_problem(client: InProcess) -> None:
    for name in ("none.js", "..%2Fmain.py", "index.html%00"):
        assert client.get(f"/page/{name}").status_code == 404


def test_the_catalogue_is_compressed_and_tagged_too(client: InProcess) -> None:
    for path in ("/functions", "/functions/tanh"):
        answer = client.get(path)
        assert answer.headers["content-encoding"] == "gzip"
        assert client.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize("name", REGISTRY)
def test_every_formula_comes_as_mathml(client: InProcess, name: str) -> None:
    facts = client.get(f"/functions/{name}").json()
    needed = {*facts["latex"], *facts["definitions"].values(), facts["range"]}
    assert needed <= facts["mathml"].keys()
    for markup in facts["mathml"].values():
        assert markup.startswith("<math")
        assert "\\" not in markup  # no command that was not understood


def test_vega_is_bundled_with_its_interpreter(server: Server) -> None:
    answer = httpx.get(f"{server.url}/page/vega.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "window.vegaEmbed=" in answer.text
    assert "expressionInterpreter" in answer.text  # what the policy needs: no eval


def test_vega_is_not_read_from_another_user_s_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(vega, "_made", lambda: gzip.compress(b"ours"))
    monkeypatch.setattr("os.getuid", lambda: 12345)
    (tmp_path / "activation-lab-12345").mkdir()
    assert gzip.decompress(vega._script()) == b"ours"
    assert not list((tmp_path / "activation-lab-12345").iterdir())


def test_vega_needs_no_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "none"))
    monkeypatch.setattr(vega, "_made", lambda: b"script")
    assert vega._script() == b"script"


def test_vega_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    def make() -> bytes:
        made.append(1)
        return b"script"

    monkeypatch.setattr(vega, "_made", make)
    assert vega._script() == vega._script() == b"script"
    assert made == [1]


def test_the_server_itself_never_loads_vega() -> None:
    code = "import sys, app.api.page; sys.exit('vl_convert' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("folder", ["", "learn"])
def test_both_languages_have_the_same_words(folder: str) -> None:
    english, korean = (
        dict(
            re.findall(
                r'^  "?([\w.]+)"?:\s+"(.*)",$', (FILES / folder / f"{code}.js").read_text(), re.MULTILINE
            )
        )
        for code in ("en", "ko")
    )
    assert list(english) == list(korean)
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", korean[key])), key


def test_the_page_names_no_activation() -> None:
    for path in FILES.glob("*.js"):
        texts = set(re.findall(r"""["'`]([\w:]+)["'`]""", path.read_text()))
        named = (set(REGISTRY) | set(REGISTRY.framework_names)) - {"step"}  # the page has time steps
        assert not texts & named, path.name


def test_exactly_the_modules_of_the_first_view_are_preloaded() -> None:
    needed: set[Path] = set()
    remaining = [FILES / "main.js", FILES / "learn" / "learn.js"]
    while remaining:
        module = remaining.pop().resolve()
        if module not in needed:
            needed.add(module)
            remaining += [module.parent / name for name in re.findall(r'from "(\..*)";', module.read_text())]
    named = re.findall(r'"modulepreload" href="page/(.*)"', (FILES / "index.html").read_text())
    assert named == sorted({path.relative_to(FILES).as_posix() for path in needed} - {"main.js"})


def test_server_timing_has_the_computation_s_duration(client: InProcess) -> None:
    answer = client.post("/activate", json={"function": "tanh", "inputs": [0.0] * 1000})
    found = re.fullmatch(r"compute;dur=(\d+\.\d{4})", answer.headers["server-timing"])
    assert found is not None
    assert 0 < float(found[1]) < 1000 * answer.elapsed.total_seconds()


def test_the_examples_in_llms_txt_run(client: InProcess) -> None:
    answer = client.get("/llms.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    paths = client.get("/openapi.json").json()["paths"]
    calls = re.findall(r"`POST (\S+)` (\{.*\}):", answer.text)
    assert len(calls) == 7
    for path, body in calls:
        assert f"/{path}" in paths
        assert client.post(f"/{path}", json=json.loads(body)).status_code == 200
