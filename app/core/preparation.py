"""Compiles loops ahead of time, and keeps them for all processes."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import cpu_count, get_context

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic.compiled import DECLARED
from app.core.arithmetic.loops import FEW
from app.core.propagation import simulation  # noqa: F401  its modules declare their loops
from app.core.training import figures  # noqa: F401  so do these

_MOST_USED = (np.float64, 2, False), (np.float32, 2, False), (np.float64, 1, False)
"""f with f′, for arrays and networks, and f alone, for integrals."""

_OTHERS = (
    *((np.float64, count, odd) for count in (2, 3) for odd in (False, True)),
    (np.float64, 1, True),
    *((np.float32, count, True) for count in (1, 2, 3)),
)
"""With f″ as well, and all of these rounded to odd, for shorter formats."""

_SIZES = 1, FEW + 1
"""Few numbers have a loop of their own, which leaves nothing out."""

_MOST_PROCESSES = 8
"""In parallel; each takes a seventh of a gigabyte."""


def compile_loops(*, most_used: bool) -> None:
    """Compiles the loops on all cores.

    Loops for parameters given per element are compiled when first needed, except for those that every
    network learns.
    """
    uses = _MOST_USED if most_used else (*_MOST_USED, *_OTHERS)
    names = [name for name, entry in REGISTRY.items() if isinstance(entry, Elementwise)]
    count = min(_MOST_PROCESSES, cpu_count())
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as processes:
        declared = processes.submit(_compile_declared)
        list(processes.map(partial(_compile_entry, uses=uses), names))
        declared.result()


def _compile_declared() -> None:
    """The loops that belong to no activation."""
    for declared in DECLARED:
        _ = declared.loop


def _compile_entry(name: str, uses: tuple[tuple[type, int, bool], ...]) -> None:
    """An activation's loops for each use: format, number of orders, whether these are rounded to odd."""
    entry = REGISTRY[name]
    assert isinstance(entry, Elementwise)
    params = {each.name: 1.0 for each in entry.parameters}
    for dtype, count, odd in uses:
        for size in _SIZES:
            entry.orders(np.zeros(size, dtype), count, odd, **params)
    if any(each.trained for each in entry.parameters):
        for size in _SIZES:
            learned = {each.name: np.ones(size) for each in entry.parameters}
            entry.orders(np.zeros(size), 2, **learned)
            entry.parameter_derivatives(np.zeros(size), **learned)
