"""Compiled loops: orders left out, parameters as arrays, other formats; the same bits on every processor."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
import sys
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import example as case
from hypothesis import given, settings
from hypothesis import strategies as st
from llvmlite import binding as llvm
from numba import njit

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic import Value, loops
from app.core.arithmetic.compiled import VECTORS, widest
from app.core.arithmetic.double_double import Scaled
from app.core.arithmetic.loops import SLACK
from tests.core.activations.test_promise import draw_all, example

ELEMENTWISE = [each for each in REGISTRY.values() if isinstance(each, Elementwise)]
TAIL = np.geomspace(1e-300, 1e300, 200)
POINTS = np.concatenate(
    [np.linspace(-30, 30, 601), np.linspace(-760, 760, 99), TAIL, -TAIL, [np.nan, np.inf]]
)

COUNTS = {len(each.parameters): each for each in ELEMENTWISE}
"""One entry for each number of parameters: what is tested here is the loops, which all entries share."""

over_counts = pytest.mark.parametrize("entry", COUNTS.values(), ids=lambda entry: entry.name)

assert {0, 1, 2} <= COUNTS.keys()


def digests() -> dict[str, str]:
    """A hash of every entry's f, f′ and f″ in float64 and float32, bit by bit; a NaN's bits mean nothing."""
    return {each.name: _digest(each) for each in ELEMENTWISE}


def _digest(entry: Elementwise) -> str:
    found = hashlib.sha256()
    with np.errstate(over="ignore"):
        single = POINTS.astype(np.float32)
    for orders in (entry.orders(POINTS, 3, **example(entry)), entry.orders(single, 2, **example(entry))):
        found.update(np.where(np.isnan(orders), np.nan, orders).tobytes())
    return found.hexdigest()


@over_counts
def test_orders_left_out_change_nothing(entry: Elementwise) -> None:
    three = entry.orders(POINTS, 3, **example(entry))
    for count in (1, 2):
        np.testing.assert_array_equal(entry.orders(POINTS, count, **example(entry)), three[:count])


@over_counts
def test_parameters_may_be_arrays(entry: Elementwise) -> None:
    params: dict[str, Value] = {**example(entry)}
    same = entry.orders(POINTS, 2, **params)
    for name, value in params.items():
        params[name] = np.full(POINTS.shape, value)
        np.testing.assert_array_equal(entry.orders(POINTS, 2, **params), same)


TWO_LOOPS = [each for each in ELEMENTWISE if each.kernel.knows_ordinary]
assert len(TWO_LOOPS) >= 10


@pytest.mark.parametrize("entry", TWO_LOOPS, ids=lambda entry: entry.name)
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ordinary_numbers_get_the_same_bits_in_both_loops(
    entry: Elementwise, odd: bool, dtype: type[np.floating[Any]]
) -> None:
    """One number that is not ordinary sends all of an array through the other loop."""
    rng = np.random.default_rng(5)
    for spread in (0.0, 0.5, 2.0):
        params = {name: value * math.exp(rng.normal(0, spread)) for name, value in example(entry).items()}
        negative = {each.name: -params[each.name] for each in entry.parameters}
        params |= {
            each.name: negative[each.name]
            for each in entry.parameters
            if spread == 0.5 and each.domain.contains(negative[each.name])
        }
        reach = 250 / math.prod(max(size, 1 / size) for size in map(abs, params.values()) if size)
        signs = rng.choice([-1.0, 1.0], 4000)
        x = np.concatenate(
            [
                rng.normal(0, 3, 4000).clip(-reach, reach),
                rng.uniform(-reach, reach, 2000),
                signs * np.exp(rng.uniform(math.log(2.0**-23), math.log(reach), 4000)),
                [0.0, -0.0],
            ]
        ).astype(dtype)
        x[np.abs(x) < 2.0**-23] = 0
        for count in (1, 3):
            ordinary = entry.orders(x, count, odd, **params)
            careful = entry.orders(np.append(x, x.dtype.type(1e30)), count, odd, **params)[:, :-1]
            np.testing.assert_array_equal(ordinary, careful)
            np.testing.assert_array_equal(np.signbit(ordinary), np.signbit(careful))


@pytest.mark.parametrize("entry", ELEMENTWISE, ids=lambda entry: entry.name)
def test_single_precision_is_double_precision_rounded(entry: Elementwise) -> None:
    """Bit for bit, though computed with fewer digits; among subnormal numbers there may be a tie."""
    tail = np.geomspace(1e-38, 1e38, 500)
    x = np.concatenate([np.linspace(-20, 20, 4001), tail, -tail, [np.nan, np.inf, -np.inf]])
    x = x.astype(np.float32)
    with np.errstate(all="ignore"):
        wide = entry.orders(x.astype(np.float64), 2, **example(entry)).astype(np.float32)
        narrow = entry.orders(x, 2, **example(entry))
    small = np.abs(wide) < np.finfo(np.float32).tiny
    np.testing.assert_array_equal(narrow[~small], wide[~small])
    np.testing.assert_allclose(narrow[small], wide[small], rtol=0, atol=2.0**-149)


def float32_points(entry: Elementwise, params: Mapping[str, float]) -> np.ndarray:
    """Of all sizes, many in the middle, and next to the roots of f, f′ and f″, where terms cancel."""
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    sizes = np.exp(rng.uniform(-87, 88, 2000)) * rng.choice([-1, 1], 2000)
    x = [rng.normal(0, 3, 20_000), rng.uniform(-100, 100, 2000), sizes, [0.0, -0.0, np.inf, -np.inf, np.nan]]
    grid = np.linspace(-30, 30, 20_001)
    for order, values in enumerate(entry.orders(grid, 3, **params)):
        signs = np.sign(values)
        for place in np.flatnonzero(signs[1:] * signs[:-1] < 0)[:4]:
            low, high = grid[place : place + 2]
            for _ in range(40):
                middle = (low + high) / 2
                same = np.sign(entry.orders(np.array([middle]), 3, **params)[order][0]) == signs[place]
                low, high = (middle, high) if same else (low, middle)
            nearby = np.float32(low).view(np.int32) + np.arange(-100, 101, dtype=np.int32)
            x.append(nearby.view(np.float32))
    return np.concatenate(x).astype(np.float32)


def several_params(entry: Elementwise, count: int) -> list[dict[str, float]]:
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    return [example(entry), *(draw_all(entry, rng) for _ in range(count if entry.parameters else 0))]


@pytest.mark.parametrize("entry", ELEMENTWISE, ids=lambda entry: entry.name)
def test_the_quick_float32_loop_gives_the_same_bits(entry: Elementwise) -> None:
    """Computed quickly, or in double-double arithmetic, rounded to odd and then to float32."""
    for params in several_params(entry, 1):
        x = float32_points(entry, params)
        quick = entry.orders(x, 3, True, **params)
        with np.errstate(all="ignore"):
            careful = entry.orders(x.astype(np.float64), 3, True, **params).astype(np.float32)
        np.testing.assert_array_equal(quick, careful)
        numbers = ~np.isnan(careful)
        np.testing.assert_array_equal(np.signbit(quick)[numbers], np.signbit(careful)[numbers])


ROUGH = [each for each in ELEMENTWISE if each.kernel.knows_rough]
QUICK = [each for each in ELEMENTWISE if each.kernel.knows_rough or each.kernel.low == "small"]
assert len(QUICK) >= 40
assert len(ROUGH) >= 20

over_rough = pytest.mark.parametrize("entry", ROUGH, ids=lambda entry: entry.name)


@pytest.mark.slow
@pytest.mark.parametrize("entry", QUICK, ids=lambda entry: entry.name)
def test_high_parts_are_as_near_as_the_quick_loop_takes_them_to_be(entry: Elementwise) -> None:
    """Or NaN, where it sees for itself that digits are lost."""
    kernel = entry.kernel
    names, double = kernel._parameters, np.dtype(np.float64)
    looks = ("rough", kernel._rough, "high"), ("careful", kernel.function, "nearest")
    cut, whole = (
        loops._writing(f"{kernel.name}.{name}", function, rounding, (double, double), 3, len(names), False)
        for name, function, rounding in looks
    )
    for params in several_params(entry, 8):
        values = [float(params[name]) for name in names]
        _, _, reach = kernel._ends(values)
        x = float32_points(entry, params).astype(np.float64)
        x = x[np.abs(x) <= reach]
        high, total = np.empty((2, 3, x.size))
        cut(x, *high, tuple(values))
        whole(x, *total, tuple(values))
        known = np.isfinite(high) & np.isfinite(total)
        assert known.any() or not reach
        high, total = high[known], total[known]
        assert (np.abs(total - high) <= SLACK * np.abs(high) + 2.0**-200).all()


@over_rough
def test_plain_numbers_have_no_strange_results(entry: Elementwise) -> None:
    """None that is subnormal in float32, infinite, NaN or a negative zero: the quick loop looks for none."""
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    for params in several_params(entry, 4):
        values = [float(params[name]) for name in entry.kernel._parameters]
        least, most, reach = entry.kernel._ends(values)
        if entry.kernel._ties or reach < loops._NARROWEST:
            continue
        sizes = np.exp(rng.uniform(math.log(least), math.log(most), 2000))
        x = np.concatenate([sizes, rng.uniform(0, most, 1000), [most, least]]).clip(least, most)
        found = entry.orders(np.concatenate([x, -x]), 3, **params)
        flat = (found == 0) & ~np.signbit(found)
        assert (flat | ((np.abs(found) >= 2.0**-125) & (np.abs(found) < 2.0**127))).all()


def bits_that_differ(entry: Elementwise, x: np.ndarray) -> int:
    """At how many of these float32 numbers the quick loop differs from the careful one."""
    params = example(entry)
    with np.errstate(all="ignore"):
        quick = entry.orders(x, 3, True, **params)
        careful = entry.orders(x.astype(np.float64), 3, True, **params).astype(np.float32)
    numbers = ~(np.isnan(quick) & np.isnan(careful))
    return int((quick.view(np.int32) != careful.view(np.int32))[numbers].sum())


@pytest.mark.slow
@over_rough
def test_the_quick_loop_gives_the_same_bits_all_over(entry: Elementwise) -> None:
    """Four million numbers, evenly among all that there are."""
    bits = np.arange(zlib.crc32(entry.name.encode()) % 1021, 2**32, 1021, dtype=np.uint32)
    assert bits_that_differ(entry, bits.view(np.float32)) == 0


@pytest.mark.study
@over_rough
def test_the_quick_loop_gives_the_same_bits_for_every_float32(entry: Elementwise) -> None:
    step = 2**22
    for start in range(0, 2**32, step):
        bits = np.arange(start, start + step, dtype=np.uint64).astype(np.uint32)
        assert bits_that_differ(entry, bits.view(np.float32)) == 0, hex(start)


look: Any = njit(lambda high, low: loops._unless_sure(Scaled(high, low, 0.0)))
look_at_ties: Any = njit(lambda high, low: loops._unless_exact(Scaled(high, low, 0.0)))


@settings(deadline=None, max_examples=1000)  # the first compiles
@case(single=-float(np.nextafter(np.float32(2.0**-126), np.float32(0))), beside=0.0, moved=-1.0, size=0.0)
@case(single=float(np.finfo(np.float32).max), beside=0.0, moved=0.0, size=0.0)
@case(single=0.0, beside=0.0, moved=1.0, size=0.0)
@case(single=-(2.0**-126), beside=0.0, moved=-1.0, size=0.0)
@given(
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.floats(-2, 2),
    st.floats(-1, 1),
    st.sampled_from([0.0, 2.0**-53, 2.0**-41, 2.0**-39, 2.0**-24]),
)
def test_what_may_be_rounded_elsewhere_is_in_doubt(
    single: float, beside: float, moved: float, size: float
) -> None:
    """In the middle between two neighbours, next to it, and among the smallest numbers."""
    with np.errstate(all="ignore"):
        middle = (single + float(np.nextafter(np.float32(single), np.float32(np.inf)))) / 2
        value = middle * (1 + size * beside)
        truth = np.float32(value * (1 + SLACK * moved))
        exact = np.float32(value)
    rounded, distance = look(value, 0.0)
    # See `_mark_strange`.
    subnormal = 0 < abs(rounded) <= 2.0**-126 or (rounded == 0 and bool(np.signbit(rounded)))
    assert rounded == truth or distance == 0 or subnormal or not np.isfinite(rounded)
    rounded, distance = look_at_ties(value, 1.0)
    assert rounded == truth or distance == 0 or not np.isfinite(value)  # which is always exact
    rounded, distance = look_at_ties(value, 0.0)
    assert rounded == exact
    assert distance != 0


def test_few_numbers_are_in_doubt() -> None:
    values = np.random.default_rng(0).normal(0, 3, 1_000_000)
    assert sum(look(value, 0.0)[1] == 0 for value in values.tolist()) <= 2 * SLACK * 2**25 * values.size


@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "softplus", "sigmoid", "hard_sigmoid"])
def test_few_results_are_worked_out_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = REGISTRY[name]
    assert isinstance(entry, Elementwise)
    again: list[int] = []
    kernel, write = entry.kernel, entry.kernel._write

    def counting(x: np.ndarray, *others: Any) -> None:
        again.append(x.size)
        write(x, *others)

    monkeypatch.setattr(kernel, "_write", counting)
    x = np.random.default_rng(0).normal(0, 3, 100_000).astype(np.float32)
    entry.orders(x, 2, True, **example(entry))
    assert sum(again) <= x.size / 1000


def test_any_number_of_vectors_gives_the_same_bits() -> None:
    sigmoid = REGISTRY["sigmoid"]
    assert isinstance(sigmoid, Elementwise)
    kernel, double = sigmoid.kernel, np.dtype(np.float64)
    x = np.random.default_rng(0).normal(0, 3, 1000)
    found = np.empty((3, 2, x.size))
    for vectors, rows in zip((1, VECTORS, 10), found, strict=True):
        loops._writing(
            f"{kernel.name}.{vectors}",
            kernel._ordinary,
            "finite",
            (double, double),
            2,
            0,
            False,
            vectors=vectors,
        )(x, *rows, ())
    np.testing.assert_array_equal(found[1:], found[:1].repeat(2, 0))
    np.testing.assert_array_equal(found[0], sigmoid.orders(x, 2))


PROCESSORS = {
    "SSE2": ("generic", ""),
    "AVX2": ("x86-64-v3", ""),
    "AVX-512, 256 bits": ("x86-64-v4", "+prefer-256-bit"),
    "AVX-512, 512 bits": ("x86-64-v4", "-prefer-256-bit"),
}
"""A name and features for LLVM, of each kind of vectors."""


def runs_here(name: str) -> bool:
    """Whether this machine has the vectors."""
    if platform.machine() != "x86_64":
        return False
    features = llvm.get_host_cpu_features()
    needed = {"SSE2": "sse2", "AVX2": "avx2"}.get(name, "avx512vl")
    return bool(features.get(needed))


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSORS)
def test_every_processor_gives_the_same_bits(name: str) -> None:
    if not runs_here(name):
        pytest.skip("this processor has no such vectors")
    code = f"import json, {__name__} as t; print(json.dumps(t.digests()))"
    processor, features = PROCESSORS[name]
    other = {**os.environ, "NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": features}
    run = subprocess.run([sys.executable, "-c", code], env=other, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == digests()


def test_the_widest_vectors_are_chosen_where_they_were_measured() -> None:
    assert widest("+avx512f,+avx512fp16,+sse2") == "+avx512f,+avx512fp16,+sse2,-prefer-256-bit"
    assert widest("+avx512f,-avx512fp16") == "+avx512f,-avx512fp16"
    assert widest("+avx2") == "+avx2"
