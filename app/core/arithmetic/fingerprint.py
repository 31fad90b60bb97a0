"""A hash of a function's code and of all that it refers to: what a loop compiled from it depends on.

A change elsewhere leaves it as it is, so that a new version of the service compiles only what has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dis import get_instructions
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import _Intrinsic  # type: ignore[attr-defined]  # numba keeps its name to itself

_dispatcher: Any = Dispatcher
_intrinsic: Any = _Intrinsic
_LOOKUPS = ("LOAD_GLOBAL", "LOAD_NAME")
_OWN = __name__.partition(".")[0]
_PLAIN = (int, float, complex, str, bytes, bool, type(None), type(...), np.generic, types.Type)


@cache
def fingerprint(function: Callable[..., Any]) -> bytes:
    """The same for the same code, constants and functions called, in any process.

    Raises `TypeError` for a reference to something that it cannot hash by its value.
    """
    digest = hashlib.sha256()
    for part in _parts_of_function(function):
        digest.update(part)
        digest.update(b"\0")
    return digest.digest()


def _parts_of_function(function: Any) -> Iterator[bytes]:
    names: set[str] = set()
    yield from _parts_of_code(function.__code__, names)
    yield from _parts(function.__defaults__)
    for name in sorted(names & function.__globals__.keys()):
        yield name.encode()
        if function.__globals__[name] is not function:  # which may call itself
            yield from _parts(function.__globals__[name])
    for cell in function.__closure__ or ():
        yield from _parts(cell.cell_contents)


def _parts_of_code(code: CodeType, names: set[str]) -> Iterator[bytes]:
    """The code, and that of functions made inside; the globals that they look up are added to ``names``."""
    names.update(each.argval for each in get_instructions(code) if each.opname in _LOOKUPS)
    yield code.co_code
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)).encode()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _parts_of_code(constant, names)
        elif isinstance(constant, frozenset):  # its order differs between processes
            yield repr(sorted(constant, key=repr)).encode()
        else:
            yield repr(constant).encode()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, _PLAIN):
        yield repr(value).encode()
    elif isinstance(value, tuple | list):
        yield type(value).__qualname__.encode()
        for each in value:
            yield from _parts(each)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, FunctionType):
        yield fingerprint(value)
    elif isinstance(value, _dispatcher):
        yield repr(sorted(value.targetoptions.items())).encode()
        yield fingerprint(value.py_func)
    elif isinstance(value, _intrinsic):
        yield fingerprint(value._defn)  # noqa: SLF001 - numba keeps what it is made from nowhere else
    elif isinstance(value, type | BuiltinFunctionType | np.ufunc):
        yield f"{getattr(value, '__module__', '')}.{value.__name__} {getattr(value, '_fields', '')}".encode()
    elif isinstance(value, ModuleType) and value.__name__.partition(".")[0] != _OWN:
        yield f"{value.__name__} {getattr(value, '__version__', '')}".encode()
    else:
        raise TypeError(f"a compiled function refers to a {type(value).__name__}")
