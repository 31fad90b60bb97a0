"""Loops compiled by numba when they are first called, and kept on disk, where another process finds them.

Compiling takes some tenths of a second, loading some milliseconds. numba's own cache keeps only functions
that close over nothing, and knows them by their own file; ours close over the kernels that they run. So a
loop is kept by its name, its types and the processor with what it can do, and sealed with a fingerprint of
all that it is made from. It lies beside Python's bytecode, and whoever may write there may change that too.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import zlib
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding as llvm
from numba import config, njit
from numba.core.caching import NullCache
from numba.core.codegen import get_host_cpu_features
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from app.core.arithmetic.fingerprint import fingerprint

_result: Any = CompileResult
_pickled: Any = dumps
_runtime: Any = rtsys
_config: Any = config
_host_features: Any = get_host_cpu_features
_lock: Any = global_compiler_lock

VECTORS = 4
"""Vectors side by side: in one alone, each step waits for the one before it. The bits are the same.

More are better where results wait long for each other, until they fit the registers no longer. A loop may ask
for its own number.
"""


def widest(features: str) -> str:
    """The processor's ``features`` for LLVM, with its widest vectors where they pay.

    LLVM holds vectors to 256 bits on all of Intel's processors with AVX-512, since the first of them clocked
    down under wider ones. For those with ``avx512fp16``, from Sapphire Rapids on, it is told otherwise: on an
    Emerald Rapids 512 bits take 0.62 of the time for softplus, 0.69 for mish and 0.78 for gelu (f and f′ of a
    million numbers, two threads). Elsewhere LLVM's own choice stands; on AMD's Zen 5 it is 512 bits, and tanh
    takes twice as long with 256.
    """
    return f"{features},-prefer-256-bit" if "+avx512fp16" in features.split(",") else features


if _config.CPU_FEATURES is None:  # else an operator has said what to compile for
    _config.CPU_FEATURES = widest(_host_features())

MANY_REGISTERS = "+avx512vl" in _config.CPU_FEATURES.split(",")
"""Whether there are 32 vector registers, and not 16."""

_KEPT = Path(__file__).parent.parent / "__pycache__"


class Compiled:
    """``function`` for arguments of ``signatures``; it holds no lock of the interpreter while it runs.

    It takes so many ``vectors`` side by side.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        signatures: Collection[Any],
        name: str,
        *,
        vectors: int = VECTORS,
    ) -> None:
        self._function = function
        self._signatures = signatures
        self._name = name
        self._vectors = vectors

    def __call__(self, *arguments: Any) -> Any:
        """Runs the loop."""
        return self.loop(*arguments)

    @property
    def loaded(self) -> bool:
        """Whether the loop is in memory."""
        return "loop" in self.__dict__

    @cached_property
    def loop(self) -> Any:
        """The loop itself, loaded or compiled."""
        dispatcher: Any = njit(nogil=True, error_model="numpy")(self._function)
        dispatcher._cache = _Kept(self._name, _stamp(self._function, self._vectors))  # noqa: SLF001 - numba has no other door for a cache of one's own
        with _lock:
            llvm.set_option("", f"-force-vector-interleave={self._vectors}")  # for all that is compiled next
            for signature in self._signatures:
                dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher


DECLARED: list[Compiled] = []
"""What `compiled` made, of the modules that are imported."""


def compiled(*signatures: str) -> Callable[[Callable[..., None]], Compiled]:
    """Makes a function of a module `Compiled`, for numba's ``signatures``."""

    def decorate(function: Callable[..., None]) -> Compiled:
        DECLARED.append(Compiled(function, signatures, full_name(function)))
        return DECLARED[-1]

    return decorate


def full_name(function: Callable[..., Any]) -> str:
    """The function's name with its module's."""
    return f"{function.__module__}.{function.__qualname__}"


class _Kept(NullCache):
    """One loop's object code on disk, as far as that can be read and written."""

    def __init__(self, name: str, stamp: bytes) -> None:
        self._name = name
        self._stamp = stamp

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The loop for ``signature``, or None.

        numba's own cache calls ``target.refresh()`` first, which imports all that compiles Python: 212
        modules in a tenth of a second. What is compiled needs numba's runtime alone; compiling calls it.
        """
        _runtime.initialize(target)
        with suppress(OSError, ValueError):
            seal, code = self._path(signature, target.codegen()).read_bytes().split(b"\n", maxsplit=1)
            if seal == self._seal(code):
                return _result._rebuild(target, *pickle.loads(zlib.decompress(code)))  # noqa: S301, SLF001
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keeps the loop, in one step, so that no process reads half of it."""
        if result.library.has_dynamic_globals:  # addresses, which mean nothing to another process
            return
        path = self._path(signature, result.library.codegen)
        library, *rest = result._reduce()  # noqa: SLF001
        code = zlib.compress(_pickled((_without_source(library), *rest)))
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            with NamedTemporaryFile(dir=path.parent, delete=False) as file:
                kept = Path(file.name)
                try:
                    file.write(self._seal(code) + b"\n" + code)
                    file.close()
                    kept.chmod(0o644)  # made for its owner alone; the service may run as somebody else
                    kept.replace(path)
                except OSError:  # no room is left, where half a file would only take more of it
                    kept.unlink()

    def _path(self, signature: Any, codegen: Any) -> Path:
        kind = hashlib.sha256(repr((signature, codegen.magic_tuple())).encode()).hexdigest()[:16]
        return _KEPT / f"{self._name}-{kind}.{sys.implementation.cache_tag}.loop"

    def _seal(self, code: bytes) -> bytes:
        """A hash of the code and of what it was made from: damaged code would be run, and end the process."""
        return hashlib.sha256(self._stamp + code).hexdigest().encode()


def _without_source(library: Any) -> Any:
    """numba's form of a compiled ``library``, without LLVM's own code, from which others could inline it.

    No loop is part of another. That code would be half of the file, and most of what a loaded loop takes: 370
    KB of memory with it, 104 without. The functions' names stay, by which numba finds them.
    """
    name, kind, (machine_code, source) = library
    functions = [each.name for each in llvm.parse_bitcode(source).functions if not each.is_declaration]
    names = "\n".join(f'define void @"{each}"() {{ ret void }}' for each in functions)
    return name, kind, (machine_code, llvm.parse_assembly(names).as_bitcode())


def _stamp(function: Callable[..., Any], vectors: int) -> bytes:
    """A hash of all that the loop depends on: the function, and how this file compiles it."""
    return hashlib.sha256(_compiler() + bytes([vectors]) + fingerprint(function)).digest()


@cache
def _compiler() -> bytes:
    versions = f"{numba.__version__} {llvmlite.__version__} {np.__version__}\n"
    return versions.encode() + Path(__file__).read_bytes()
