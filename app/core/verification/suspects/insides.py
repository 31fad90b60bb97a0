"""Kernels that compute in too short a format, or in a formula whose digits cancel there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import islice
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from app.core.activations.definition import Text
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, round_to
from app.core.formulas.stepwise import Steps, stepwise
from app.core.formulas.tree import Tree, walk
from app.core.formulas.vectorised import evaluator, stable
from app.core.formulas.writings import Writing, writings
from app.core.verification.evidence import (
    CHEAP,
    FEW,
    QUIET,
    SINGLE,
    Base,
    Cause,
    Evidence,
    Mask,
    Places,
    Suspect,
)
from app.core.verification.exact import doubles
from app.core.verification.suspects.trees import replaced

CANCELS = 4.0
"""A sum this many times smaller than its terms has lost two bits."""

LARGE_ERROR = 256.0
"""The least error, in ulp, for which ordinary steps in float32 or float64 are blamed, as in an exponential
of something large."""

SMALL = 16.0
"""The largest error, in ulp of a short format, that roundings in a longer format can cause without showing a
pattern."""

NEARLY_ALL = 0.98

MOST_OF_OWN = 4
"""The most forms of each writing that an entry lists."""

TF32_BITS = 10

OVERFLOWING = ("e(e + 2)", "(1 + e)²", "exp / (1 + exp)", "(exp − 1)/(exp + 1)", "(exp − exp)")
"""Forms that give NaN for large inputs, for which kernels therefore have a branch."""

FAR_OUT = 1e300
"""The input used in place of infinity, where a formula may give NaN."""


class Inside(NamedTuple):
    """A format that a kernel computes in, by its name."""

    name: str
    bits: int
    rounded: Callable[[Array], Array]


def _format(name: str, bits: int) -> Inside:
    return Inside(name, bits, lambda values: doubles(round_to(np.asarray(values, np.float64), FORMATS[name])))


def _shortened(values: Array, bits: int, *, cut: bool) -> Array:
    """Mantissas of so many bits behind the point, rounded to nearest even or cut off."""
    mantissa, exponent = np.frexp(values)
    scaled = np.ldexp(mantissa, bits + 1)
    shorter: Array = np.ldexp(np.trunc(scaled) if cut else np.rint(scaled), exponent - bits - 1)
    return np.where(np.isfinite(values), shorter, values)


def _cut(dtype: np.dtype[Any], bits: int) -> Inside:
    """A short format in which each step's result is cut off."""

    def rounded(values: Array) -> Array:
        return doubles(round_to(_shortened(values, bits, cut=True), dtype))

    return Inside(f"{dtype.name}, cut off at each step", bits, rounded)


DOUBLE = Inside("float64", 52, lambda values: values)
SHORT = (_format("float32", 23), _format("float16", 10), _format("bfloat16", 7))
SHORTEST = (_format("float8_e4m3fn", 3), _format("float8_e5m2", 2))
TF32 = Inside("TF32", TF32_BITS, lambda values: _shortened(np.asarray(values), TF32_BITS, cut=False))
TF32_CUT = Inside(
    "TF32, cut off", TF32_BITS, lambda values: _shortened(np.asarray(values), TF32_BITS, cut=True)
)


def own_format(dtype: np.dtype[Any]) -> Inside:
    """The kernel's format as one to compute in."""
    known = {each.name: each for each in (DOUBLE, *SHORT)}
    return known.get(dtype.name) or _format(dtype.name, mantissa_bits(dtype))


def mantissa_bits(dtype: np.dtype[Any]) -> int:
    """The bits behind the point."""
    return int(ml_dtypes.finfo(dtype).nmant)  # type: ignore[no-untyped-call]


def insides(seen: Evidence, compute: np.dtype[Any] | None) -> list[Inside]:
    """The formats to try: the one that is known, or the kernel's own and the usual ones."""
    if compute is not None:
        return [own_format(compute)]
    own = own_format(seen.dtype)
    others = [each for each in (DOUBLE, *SHORT, TF32) if each.name != own.name]
    if seen.dtype != SINGLE:
        others.remove(TF32)
    found = sorted([own, *others], key=lambda each: -each.bits)
    return [*found, _cut(seen.dtype, own.bits)] if own.bits < SHORT[0].bits else found


def stepwise_kernels(seen: Evidence, base: Base, compute: np.dtype[Any] | None) -> Iterator[Suspect]:
    """The formula, in every writing, with every step rounded."""
    forms = list(written(base.tree))
    if base == seen.base:
        forms += [form for each in seen.own_writings for form in islice(writings(each), MOST_OF_OWN)]
    for inside in insides(seen, compute):
        if _usual(seen, inside) and seen.worst <= QUIET:
            continue
        for number, writing in enumerate(forms):
            run = _CachedSteps(partial(_steps, seen, base, writing, inside))
            suspect = Suspect(
                "low_precision",
                inside.name,
                _low(inside),
                lambda places, run=run: run(places).values,  # type: ignore[misc]
                base=base,
                noisy=inside.bits >= SHORT[0].bits,
                price=0.001 * number + 0.005 * writing.name.count(","),
                split=partial(_split, seen, writing, inside, run),
                key=("steps", inside.name, writing.tree, *base.params.items()),
            )
            yield suspect
            if any(each in writing.name for each in OVERFLOWING):
                yield _guarded(seen, suspect)
            if suspect.noisy and seen.dtype.itemsize < SINGLE.itemsize and seen.worst <= SMALL:
                room = partial(_room, inside, run)
                key = ("room", *(suspect.key or ()))
                yield replace(suspect, price=0.2 + suspect.price, room=room, key=key)


def _guarded(seen: Evidence, suspect: Suspect) -> Suspect:
    """The suspect with a branch for inputs where it would give NaN."""

    def predicted(places: Places) -> Array:
        values = suspect.predicted(places)
        return np.where(np.isnan(values), seen.right[places], values)

    key = ("guarded", *(suspect.key or ()))
    return replace(suspect, predicted=predicted, price=0.01 + suspect.price, key=key)


def _room(inside: Inside, run: Callable[[Places], Steps], places: Places) -> Array:
    """The effect of an error in a step's last digit, where its leading digits cancel."""
    steps = run(places)
    cancelled = steps.cancellation > CANCELS
    with np.errstate(all="ignore"):
        return np.where(cancelled, steps.cancellation * np.abs(steps.values) * 2.0**-inside.bits, 0.0)


def _usual(seen: Evidence, inside: Inside) -> bool:
    """Whether kernels of this format compute in it."""
    return inside.name == seen.dtype.name and inside.bits >= SHORT[0].bits


@lru_cache(maxsize=256)
def written(tree: Tree) -> tuple[Writing, ...]:
    """The ways to write it, as it stands or in its stable form."""
    forms = [each for root in dict.fromkeys((tree, stable(tree))) for each in writings(root)]
    return tuple({each.tree: each for each in reversed(forms)}.values())[::-1]


class _CachedSteps:
    """Steps that several suspects need at the same places, one after the other."""

    def __init__(self, run: Callable[[Places], Steps]) -> None:
        self._run = run
        self._last: tuple[Places, Steps] | None = None

    def __call__(self, places: Places) -> Steps:
        if self._last is None or self._last[0] is not places:
            self._last = places, self._run(places)
        return self._last[1]


def _steps(seen: Evidence, base: Base, writing: Writing, inside: Inside, places: Places) -> Steps:
    return stepwise(writing.tree, seen.variables(base, places), base.params, inside.rounded)


def _split(
    seen: Evidence, writing: Writing, inside: Inside, run: Callable[[Places], Steps], met: Places
) -> list[tuple[Cause, Mask]]:
    """Steps that overflowed, sums whose digits cancelled, and steps that were rounded."""
    steps = run(met)
    overflowed = steps.overflow & np.isfinite(seen.right[met])
    cancelled = (steps.cancellation > CANCELS) & ~overflowed
    rounded = ~cancelled & ~overflowed
    if _usual(seen, inside):
        rounded &= seen.size[met] > LARGE_ERROR
    if inside is DOUBLE and own_format(seen.dtype) is not DOUBLE:  # steps in doubles are as good as exact
        rounded &= False
    name = f"{writing.name or 'the formula'} in {inside.name}"
    both = bool(cancelled.any() and overflowed.any())
    careless = Cause("cancellation", name, 0.0, _careless(writing, inside, overflows=both))
    too_large = Cause("overflow", name, 0.0, _overflows(writing, inside))
    return [
        (careless, cancelled | (overflowed & both)),
        (too_large, overflowed & (not both)),
        (Cause("low_precision", inside.name, 0.0, _low(inside)), rounded),
    ]


def _form(writing: Writing) -> Text:
    return Text(writing.name, writing.name) if writing.name else Text("the formula", "수식")


def _careless(writing: Writing, inside: Inside, *, overflows: bool) -> Text:
    form = _form(writing)
    if overflows:
        return Text(
            f"The errors are those of {form.en} computed in {inside.name}: its digits cancel, and it "
            "overflows.",
            f"오차가 {inside.name}(으)로 계산한 {form.ko}의 오차와 같습니다. 자릿수 소거가 일어나고 "
            "오버플로도 납니다.",
        )
    return Text(
        f"The errors are those of {form.en} computed in {inside.name}: its digits cancel.",
        f"오차가 {inside.name}(으)로 계산한 {form.ko}의 오차와 같습니다. 자릿수 소거가 일어납니다.",
    )


def _overflows(writing: Writing, inside: Inside) -> Text:
    form = _form(writing)
    return Text(
        f"The wrong answers are those of {form.en} computed in {inside.name}: a step on the way overflows.",
        f"틀린 결과가 {inside.name}(으)로 계산한 {form.ko}의 결과와 같습니다. 계산 도중에 오버플로가 납니다.",
    )


def _low(inside: Inside) -> Text:
    return Text(
        f"The errors are those of a kernel that computes in {inside.name}, rounding each step.",
        f"오차가 {inside.name}(으)로 계산하며 단계마다 반올림하는 커널의 오차와 같습니다.",
    )


# Inputs and answers in another format


def passing_formats(seen: Evidence, base: Base) -> Iterator[Suspect]:
    """The exact function of inputs that were rounded to a shorter format, or answers rounded to one."""
    own = mantissa_bits(seen.dtype)
    for inside in (*SHORT, TF32, TF32_CUT, *SHORTEST):
        if inside.bits >= own and (inside.name != "float16" or seen.dtype == FORMATS["float16"]):
            continue
        taken = partial(_taken, seen, base, inside)
        # A longer mantissa only shows in subnormal numbers, as do sums near 1; float8 is rarer.
        price = 0.1 if inside.bits >= own else CHEAP if inside in SHORTEST else 0.0
        asked = base == seen.base

        def answers(places: Places, inside: Inside = inside, asked: bool = asked) -> Array:
            exact = seen.exact[places] if asked else exactly_at(seen, base, places)
            return inside.rounded(exact)

        def both(places: Places, inside: Inside = inside, taken: Any = taken) -> Array:
            return inside.rounded(taken(places))

        yield passing(inside, "inputs", "입력", taken, base, price)
        if inside.bits < own and holds(seen, inside):
            yield passing(inside, "answers", "결과", answers, base, price)
        if inside.name == "float16" and own >= SHORT[0].bits and _is_looked_up(seen, base):
            summary = Text(
                "Each answer is the float16 number that belongs to the input rounded to float16, as from a "
                "table of all float16 numbers.",
                "모든 결과가 float16으로 반올림한 입력에 대응하는 float16 수입니다. float16의 모든 수를 담은 "
                "표에서 찾은 값으로 보입니다.",
            )
            key = ("passing", "both", inside.name, *base.key)
            yield Suspect("table", "float16 inputs and answers", summary, both, base=base, key=key)
        else:
            yield passing(inside, "inputs and answers", "입력과 결과", both, base, price)


def cut_answers(seen: Evidence) -> Iterator[Suspect]:
    """The exact answers with their last bits cut off: those that are 0 in all outputs."""
    bits = _bits_of(seen)
    if bits < mantissa_bits(seen.dtype):
        name = {each.bits: each.name for each in (*SHORT, *SHORTEST)}.get(bits, f"{bits} bits")
        cut = Inside(name, bits, lambda values: _shortened(np.asarray(values), bits, cut=True))
        summary = Text(
            f"The answers are cut off to the digits of {name}, not rounded.",
            f"결과를 반올림하지 않고 {name.replace(' bits', '비트')}의 자릿수에서 잘라 냈습니다.",
        )
        yield Suspect("truncation", f"to {name}", summary, partial(_shorter, seen, cut), key=("cut", bits))


def _bits_of(seen: Evidence) -> int:
    """The fewest bits behind the point that represent nearly all outputs."""
    output = seen.output[np.isfinite(seen.output)]
    own = mantissa_bits(seen.dtype)
    if not output.size:
        return own
    fit = ((_shortened(output, bits, cut=True) == output).mean() > NEARLY_ALL for bits in range(1, own))
    return next((bits for bits, good in enumerate(fit, 1) if good), own)


def _shorter(seen: Evidence, inside: Inside, places: Places) -> Array:
    return inside.rounded(seen.exact[places])


def _is_looked_up(seen: Evidence, base: Base) -> bool:
    """Whether right float16 answers need a table: a single elementary function gives them anyway.

    Values beyond the table are not rounded.
    """
    elementary = all(each.op == "name" for each in _stable(base.tree).args)
    beyond = (seen.output == seen.x) & (SHORT[1].rounded(seen.x) != seen.x)
    return not elementary or int(beyond.sum()) >= FEW


def holds(seen: Evidence, inside: Inside) -> bool:
    """Whether nearly all outputs are numbers of the format."""
    output = seen.output[np.isfinite(seen.output)]
    return bool(output.size) and float((inside.rounded(output) == output).mean()) > NEARLY_ALL


def passing(
    inside: Inside,
    what: str,
    what_ko: str,
    predicted: Callable[[Places], Array],
    base: Base | None = None,
    price: float = 0.0,
) -> Suspect:
    """A kernel whose ``what`` are rounded to a format."""
    summary = Text(
        f"The errors are those of {what} rounded to {inside.name}.",
        f"오차가 {what_ko}을(를) {inside.name}(으)로 반올림할 때 생기는 오차와 같습니다.",
    )
    key = None if base is None else ("passing", what, inside.name, *base.key)
    detail = f"{inside.name} {what}"
    return Suspect("low_precision", detail, summary, predicted, base=base, price=price, key=key)


def _taken(seen: Evidence, base: Base, inside: Inside, places: Places) -> Array:
    """The function of rounded inputs; where an input overflows, the limit, as double precision gives it."""
    taken = np.clip(inside.rounded(seen.x[places]), -FAR_OUT, FAR_OUT)
    return exactly_at(seen, base, places, taken)


_stable = lru_cache(maxsize=1024)(stable)


@lru_cache(maxsize=2048)
def _compiled(
    root: Tree, names: tuple[str, ...], params: tuple[tuple[str, float], ...]
) -> Callable[[Sequence[Any]], Sequence[Array]]:
    return evaluator([_by_products(_stable(root))], names, dict(params))


def _by_products(root: Tree) -> Tree:
    """Cubes and fourth powers as products, which take a tenth of the time."""
    parts: dict[Tree, Tree] = {}
    for node in walk(root):
        if node.op == "**" and node.args[1].number in {3, 4}:
            base = replaced(node.args[0], parts)
            square = Tree("*", (base, base))
            parts[node] = Tree("*", (square, base if node.args[1].number == 3 else square))
    return replaced(root, parts)


def exactly(base: Base, x: Array) -> Array:
    """The formula in double precision."""
    (found,) = _compiled(base.tree, ("x",), tuple(base.params.items()))([x])
    return found


def exactly_at(seen: Evidence, base: Base, places: Places, x: Array | None = None) -> Array:
    """The formula in double precision at places of the evidence, or of other inputs there."""
    variables = seen.variables(base, places, x)
    (found,) = _compiled(base.tree, tuple(variables), tuple(base.params.items()))(list(variables.values()))
    return found


def with_free(seen: Evidence, base: Base, root: Tree, free: str) -> Callable[[float | Array, Places], Array]:
    """The formula ``root`` in double precision as a function of what is called ``free`` in it."""
    params = {key: value for key, value in base.params.items() if key != free}
    known = Base(base.tree, {**params, free: 0.0})

    def run(value: float | Array, places: Places) -> Array:
        variables = seen.variables(known, places)
        at = _compiled(root, (*variables, free), tuple(params.items()))
        (found,) = at([*variables.values(), np.asarray(value, np.float64)])
        return found

    return run
