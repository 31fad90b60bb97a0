"""Loops that are kept: found again, compiled again when a source has changed or where none can be kept."""

from __future__ import annotations

import errno
import pickle
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding as llvm

from app.core.arithmetic import Array, compiled
from app.core.arithmetic.compiled import Compiled


def double(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = 2 * x[i]


def loop() -> Compiled:
    """The same loop as another process would have it."""
    return Compiled(double, ["void(f8[::1], f8[::1])"], "double")


def other() -> Compiled:
    """One that has not been compiled before."""
    return Compiled(double, ["void(f8[:], f8[:])"], "other")


def hits(loop: Compiled) -> int:
    """How often it was loaded from disk; its results are checked first."""
    out = np.empty(3)
    loop(np.array([1.0, -2.5, np.inf]), out)
    assert out.tolist() == [2, -5, np.inf]
    return sum(loop.loop.stats.cache_hits.values())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compiled, "_KEPT", tmp_path / "kept")
    return tmp_path / "kept"


def test_another_process_finds_what_one_compiled(kept: Path) -> None:
    assert hits(loop()) == 0
    (file,) = kept.iterdir()
    written = file.stat().st_mtime_ns
    assert hits(loop()) == 1
    assert file.stat().st_mtime_ns == written


def test_what_is_kept_holds_names_and_machine_code_alone(kept: Path) -> None:
    """LLVM's own code, which numba keeps for inlining, would be most of a loaded loop's memory."""
    assert hits(loop()) == 0
    (file,) = kept.iterdir()
    _, code = file.read_bytes().split(b"\n", maxsplit=1)
    (_, kind, (machine_code, source)), *_ = pickle.loads(zlib.decompress(code))
    functions = [each for each in llvm.parse_bitcode(source).functions if not each.is_declaration]
    assert kind == "object"
    assert machine_code
    assert functions
    assert all(len([i for block in each.blocks for i in block.instructions]) == 1 for each in functions)


def test_another_user_may_read_it(kept: Path) -> None:
    """An image is built by one user and run as another."""
    assert hits(loop()) == 0
    (file,) = kept.iterdir()
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_changed_source_has_it_compiled_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hits(loop()) == 0
    with monkeypatch.context() as changed:
        changed.setattr(compiled, "_stamp", lambda *_: b"of other sources")
        assert hits(loop()) == 0
        assert hits(loop()) == 1
    assert hits(loop()) == 0
    assert len(list(kept.iterdir())) == 1


def test_another_number_of_vectors_is_another_loop(kept: Path) -> None:
    four, ten = loop(), Compiled(double, ["void(f8[::1], f8[::1])"], "double", vectors=10)
    assert hits(four) == 0
    assert hits(ten) == 0
    assert len(list(kept.iterdir())) == 1
    short, long = (next(iter(each.loop.inspect_asm().values())) for each in (four, ten))
    assert len(long) > len(short)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5])
def test_a_damaged_file_is_compiled_again(kept: Path, share: float) -> None:
    assert hits(loop()) == 0
    (file,) = kept.iterdir()
    code = file.read_bytes()
    file.write_bytes(code[: int(share * len(code))])
    assert hits(loop()) == 0
    assert hits(loop()) == 1


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_code_of_which_a_byte_has_changed_is_not_run(kept: Path, place: float) -> None:
    assert hits(loop()) == 0
    (file,) = kept.iterdir()
    code = bytearray(file.read_bytes())
    code[int(place * len(code))] ^= 0x10
    file.write_bytes(code)
    assert hits(loop()) == 0
    assert hits(loop()) == 1


def test_a_full_disk_leaves_nothing_behind(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path, mode: int) -> None:
        del mode
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "chmod", full)
    assert hits(loop()) == 0
    assert not list(kept.iterdir())


def test_where_nothing_can_be_kept_it_is_compiled(kept: Path) -> None:
    kept.write_text("no directory")
    assert hits(loop()) == 0
    assert hits(loop()) == 0


FRESH = """
import sys
from pathlib import Path
from app.core.arithmetic import compiled
from tests.core.arithmetic.test_compiled import hits, loop, other

compiled._KEPT = Path(sys.argv[1])
assert hits(loop()) == 1
assert "numba.np.arrayobj" not in sys.modules
assert hits(other()) == 0
assert "numba.np.arrayobj" in sys.modules
assert hits(loop()) == 1
"""


def test_kept_loops_load_without_the_compiler(kept: Path) -> None:
    """A fresh process answers a tenth of a second sooner."""
    assert hits(loop()) == 0
    subprocess.run([sys.executable, "-c", FRESH, kept], check=True, timeout=120)


def test_it_takes_no_other_types() -> None:
    with pytest.raises(TypeError):
        loop()(np.zeros(3, np.float32), np.zeros(3))
