"""Applying an activation to an array: values, derivatives, and gradients for a given upstream gradient.

Everything is computed in float64 and rounded once into the format asked for. Work runs in blocks of elements
or of rows that fit a core's cache; the caller may pass a ``map`` that spreads the blocks over threads, which
NumPy lets run in parallel. The result does not depend on how the blocks are spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Elementwise, Rowwise
from app.core.activations.registry import Axis, Call, check_constraints
from app.core.arithmetic import Array, Value
from app.core.arithmetic.formats import check_nan, round_to
from app.core.errors import InvalidValue, LimitExceeded

Mapper: TypeAlias = Callable[[Callable[[slice], None], Iterable[slice]], Iterable[None]]

FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)

BLOCK = 65_536
"""Elements a block: a pass over one takes longer than acquiring the interpreter lock for the next, for which
two threads compete, and half a dozen temporaries still fit a cache."""

LONG_BLOCKS = {FLOAT64: 131_072, FLOAT32: 262_144}
"""The same where there are almost no temporaries: memory-bound functions take an eighth less time with these,
in float32 a quarter less."""

JACOBIAN_LIMIT = 4_000_000
"""Most elements of a Jacobian that one request may ask for."""


class Evaluation(NamedTuple):
    """The results, in the format asked for.

    ``orders`` holds f, f′ and f″ as far as they were asked for, each the shape of the outputs; for a function
    that mixes elements the second is the Jacobian, (..., m, n) with the rows' axis moved to the end.
    """

    orders: tuple[NDArray[Any], ...]
    input_gradient: NDArray[Any] | None = None
    param_gradients: Mapping[str, NDArray[Any]] = MappingProxyType({})


def activate(
    call: Call,
    inputs: Array,
    *,
    order: int = 1,
    dtype: np.dtype[Any] = FLOAT64,
    upstream: Array | None = None,
    map_blocks: Mapper = map,
) -> Evaluation:
    """f and its derivatives up to ``order`` at ``inputs``, each the exact answer rounded to ``dtype``.

    Args:
        call: the activation and its parameters.
        inputs: any shape; rounded to ``dtype`` first.
        order: the highest derivative, 0 to 2.
        dtype: one of `formats.FORMATS`.
        upstream: dL/d(outputs), the shape of the outputs; asks for the gradients of inputs and parameters.
        map_blocks: as the built-in ``map``; may run the calls in parallel.

    Raises:
        InvalidValue: an order, axis or shape that does not fit; NaN for a format that has none.
        LimitExceeded: a Jacobian too large to return.
    """
    if order not in (0, 1, 2):
        raise InvalidValue("order must be 0, 1 or 2", loc=("order",))
    check_nan(inputs, dtype, "inputs")
    if upstream is not None:
        check_nan(upstream, dtype, "upstream")
    if isinstance(call.activation, Elementwise):
        return _elementwise(call.activation, call, inputs, order, dtype, upstream, map_blocks)
    if isinstance(call.activation, Rowwise):
        return _rowwise(call.activation, call, inputs, order, dtype, upstream, map_blocks)
    raise TypeError(f"{type(call.activation).__name__} is no kind of activation")


def _held(values: Array, dtype: np.dtype[Any], given: np.dtype[Any] = FLOAT64) -> Array:
    """``values`` rounded to ``dtype``, as an aligned array of format ``given``; copied only if need be."""
    held = round_to(values, dtype)
    return held.astype(given, copy=not held.flags.aligned)


def _points(values: Array, dtype: np.dtype[Any]) -> Array:
    """``values`` rounded to ``dtype``, in the format in which an elementwise function takes them."""
    return _held(values, dtype, FLOAT32 if dtype == FLOAT32 else FLOAT64)


def _elementwise(
    activation: Elementwise,
    call: Call,
    inputs: Array,
    order: int,
    dtype: np.dtype[Any],
    upstream: Array | None,
    map_blocks: Mapper,
) -> Evaluation:
    shape, points = inputs.shape, inputs.ravel()
    params = {name: aligned(value, shape, call.axis, name) for name, value in call.params.items()}
    check_constraints(activation, params)
    orders = [np.empty(points.size, dtype) for _ in range(order + 1)]
    step = LONG_BLOCKS.get(dtype, BLOCK)
    if points.size <= step:
        _fill(orders, activation, _points(points, dtype), _flat(params))
    else:
        blocks = _blocks(points.size, step)
        _fill_by_blocks(orders, activation, points, _flat(params), map_blocks, blocks)
    evaluation = Evaluation(tuple([values.reshape(shape) for values in orders]))
    if upstream is None:
        return evaluation
    return _with_gradients(evaluation, activation, call, inputs, params, dtype, upstream)


def _fill_by_blocks(
    orders: list[NDArray[Any]],
    activation: Elementwise,
    points: Array,
    params: Mapping[str, Value],
    map_blocks: Mapper,
    blocks: Iterable[slice],
) -> None:
    def compute(block: slice) -> None:
        rows = [values[block] for values in orders]
        x = _points(points[block], rows[0].dtype)
        _fill(rows, activation, x, _cut(params, block))

    for _ in map_blocks(compute, blocks):
        pass


def _fill(rows: list[NDArray[Any]], activation: Elementwise, x: Array, params: Mapping[str, Value]) -> None:
    """f(x), f′(x), … into as many ``rows``, in their format."""
    if rows[0].dtype in (FLOAT64, FLOAT32):
        activation.write(rows, x, rows[0].dtype == FLOAT32, **params)
        return
    for row, values in zip(rows, activation.orders(x, len(rows), True, **params), strict=True):
        row[:] = round_to(values, row.dtype)


def _with_gradients(
    evaluation: Evaluation,
    activation: Elementwise,
    call: Call,
    inputs: Array,
    params: Mapping[str, Value],
    dtype: np.dtype[Any],
    upstream: Array,
) -> Evaluation:
    check_upstream(upstream, inputs.shape)
    x, seed = _held(inputs, dtype), _held(upstream, dtype)
    odd = dtype != FLOAT64
    pulled = activation.pull(x.ravel(), seed.ravel(), odd, **_flat(params)).reshape(x.shape)
    gradients = {
        name: round_to(_summed(activation, name, call, x, seed, params, odd), dtype)
        for name in activation.learned
    }
    return Evaluation(evaluation.orders, round_to(pulled, dtype), gradients)


def _summed(
    activation: Elementwise,
    name: str,
    call: Call,
    x: Array,
    seed: Array,
    params: Mapping[str, Value],
    odd: bool,
) -> Array:
    """Σ upstream·∂f/∂θ for one learnable parameter, over the elements that broadcasting repeats it for."""
    value = call.params[name]
    over = _spread_axes(value, x.shape, call.axis)
    groups = math.prod(length for axis, length in enumerate(x.shape) if axis not in over)
    flat = {
        key: _grouped(each, over) if isinstance(each, np.ndarray) else each for key, each in params.items()
    }
    sums = activation.parameter_sums(name, _grouped(x, over), _grouped(seed, over), groups, odd, **flat)
    return sums.reshape(np.shape(value))


def _grouped(values: Array, over: tuple[int, ...]) -> Array:
    """``values`` in one row, the elements of each sum next to each other."""
    kept = [axis for axis in range(values.ndim) if axis not in over]
    return np.ascontiguousarray(np.transpose(values, [*kept, *over])).reshape(-1)


def _spread_axes(value: Value, shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The axes of ``shape`` along which broadcasting repeats ``value``."""
    if np.size(value) == 1:
        return tuple(range(len(shape)))
    own = _along(np.asarray(value, np.float64), len(shape), axis).shape
    aligned = (1,) * (len(shape) - len(own)) + own
    return tuple(place for place, length in enumerate(aligned) if length == 1)


def _rowwise(
    activation: Rowwise,
    call: Call,
    inputs: Array,
    order: int,
    dtype: np.dtype[Any],
    upstream: Array | None,
    map_blocks: Mapper,
) -> Evaluation:
    if order == 2:
        raise InvalidValue(f"{activation.name} mixes elements: its order is 0 or 1", loc=("order",))
    axes = mixed_axes(activation, inputs.ndim, call.axis)
    _check_most(activation, call, inputs.size)
    rows = rows_of(inputs, axes)
    count, length = rows.shape
    kept = [size for place, size in enumerate(inputs.shape) if place not in axes]
    width = activation.width(length, **call.params)
    mixed = [inputs.shape[axis] for axis in axes] if width == length else [width]
    shapes: list[tuple[int, ...]] = [(count, width)]
    if order == 1 and upstream is None:
        _check_jacobian(rows.size * width)
        shapes.append((count, width, length))
    if upstream is not None:
        check_upstream(upstream, np.moveaxis(np.empty([*kept, *mixed], bool), _last(axes), axes).shape)
    orders = [np.empty(shape, dtype) for shape in shapes]
    functions = (activation.value, activation.jacobian)
    params = _by_rows(activation, call, inputs.shape, axes)

    def compute(block: slice) -> None:
        x = _held(rows[block], dtype)
        with np.errstate(all="ignore"):
            for function, result in zip(functions, orders, strict=False):
                result[block] = round_to(function(x, odd=dtype != FLOAT64, **params(block)), dtype)

    _run(compute, map_blocks, rows, width, whole=_holds_weights(activation, call))
    outputs, *jacobian = orders
    evaluation = Evaluation(
        (
            _moved(outputs.reshape([*kept, *mixed]), axes),
            *(each.reshape([*kept, width, length]) for each in jacobian),
        )
    )
    if upstream is None:
        return evaluation
    gradient, learned = _pulled_back(
        activation, call, rows, rows_of(upstream, axes), params, dtype, map_blocks
    )
    lengths = [inputs.shape[axis] for axis in axes]
    return Evaluation(evaluation.orders, _moved(gradient.reshape([*kept, *lengths]), axes), learned)


def _pulled_back(
    activation: Rowwise,
    call: Call,
    rows: Array,
    upstream: Array,
    params_of: Callable[[slice], Mapping[str, Value]],
    dtype: np.dtype[Any],
    map_blocks: Mapper,
) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """dL/d(rows), and dL/dθ: with this sum over all rows they are not split into blocks."""
    gradient = np.empty(rows.shape, dtype)
    learned = [each.name for each in activation.parameters if each.learnable and each.name in call.params]
    params = {name: np.zeros(np.shape(call.params[name]), dtype) for name in learned}

    def compute(block: slice) -> None:
        x, seed = _held(rows[block], dtype), _held(upstream[block], dtype)
        with np.errstate(all="ignore"):
            pulled, partial = activation.pullback(x, seed, odd=dtype != FLOAT64, **params_of(block))
            gradient[block] = round_to(pulled, dtype)
            params.update({name: round_to(value, dtype) for name, value in partial.items()})

    _run(compute, map_blocks, rows, upstream.shape[1], whole=bool(learned))
    return gradient, params


def _run(
    compute: Callable[[slice], None], map_blocks: Mapper, rows: Array, width: int, *, whole: bool
) -> None:
    """Computes all rows, block by block or as a ``whole``; nothing where there is nothing to compute."""
    count, length = rows.shape
    if not count * length * width:
        return
    step = count if whole else max(1, BLOCK // length)
    for _ in map_blocks(compute, _blocks(count, step)):
        pass


def _holds_weights(activation: Rowwise, call: Call) -> bool:
    """Whether there are weights, which every block would have to prepare again."""
    return any(each.shape is not None and each.name in call.params for each in activation.parameters)


def _by_rows(
    activation: Rowwise, call: Call, shape: tuple[int, ...], axes: tuple[int, ...]
) -> Callable[[slice], Mapping[str, Value]]:
    """The parameters for each block of rows; those that broadcast against the inputs are split like them."""
    whole = {
        each.name: rows_of(np.asarray(aligned(call.params[each.name], shape, call.axis, each.name)), axes)
        for each in activation.parameters
        if each.broadcasts and np.ndim(call.params.get(each.name, 0.0))
    }
    return lambda block: {**call.params, **{name: value[block] for name, value in whole.items()}}


def mixed_axes(activation: Rowwise, ndim: int, axis: Axis) -> tuple[int, ...]:
    """The axes whose elements are mixed, counted from 0; none of a scalar, which is a row of one element."""
    if axis is None:  # PyTorch's rule where no axis is given
        axis = 0 if ndim in {0, 1, 3} else 1
    given = axis if isinstance(axis, tuple) else (axis,)
    if not activation.several_axes and (len(given) != 1 or ndim == 0):
        what = "one axis" if ndim else "absent: the input has no axes"
        raise InvalidValue(f"axis must be {what}", loc=("axis",))
    ends = max(ndim, 1)
    if not all(-ends <= each < ends for each in given):
        raise InvalidValue(f"axis must be from {-ends} to {ends - 1}", loc=("axis",))
    places = tuple(each % ends for each in given)
    if len(set(places)) < max(len(places), 1):
        raise InvalidValue("axis must name at least one axis, and each of them once", loc=("axis",))
    return places if ndim else ()


def _last(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes, as many as ``axes``."""
    return tuple(range(-len(axes), 0))


def rows_of(x: Array, axes: tuple[int, ...]) -> Array:
    """``x`` as a matrix whose rows run along ``axes``."""
    moved = np.moveaxis(x, axes, _last(axes))
    outer = moved.shape[: moved.ndim - len(axes)]
    return np.ascontiguousarray(moved).reshape(math.prod(outer), math.prod(moved.shape[len(outer) :]))


def _moved(rows: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    return np.asarray(np.moveaxis(rows, _last(axes), axes), order="C")


def _blocks(size: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, size)) for start in range(0, size, step))


def _flat(params: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value.ravel() if isinstance(value, np.ndarray) else value for name, value in params.items()}


def _cut(params: Mapping[str, Value], block: slice) -> dict[str, Value]:
    return {name: value[block] if isinstance(value, np.ndarray) else value for name, value in params.items()}


def aligned(value: Value, shape: tuple[int, ...], axis: Axis, name: str) -> Value:
    """An array parameter spread over ``shape``: one-dimensional along ``axis``, others by broadcasting."""
    if not isinstance(value, np.ndarray):
        return value
    if value.size == 1:  # one number, whatever the shape: a scalar input has no axis to lay it along
        return np.broadcast_to(value.reshape(()), shape)
    try:
        return np.broadcast_to(_along(value, len(shape), axis), shape)
    except ValueError:
        raise InvalidValue("must broadcast against the inputs", loc=("params", name)) from None


def _along(value: Array, ndim: int, axis: Axis) -> Array:
    """A one-dimensional ``value`` laid along ``axis`` of an array with ``ndim`` axes."""
    if value.ndim != 1 or not isinstance(axis, int) or not -ndim <= axis < ndim:
        return value
    return value.reshape([-1 if place == axis % ndim else 1 for place in range(ndim)])


def check_upstream(upstream: Array, shape: tuple[int, ...]) -> None:
    """Raises `InvalidValue` unless it has the outputs' ``shape``."""
    if upstream.shape != shape:
        raise InvalidValue(f"must have the shape of the outputs, {list(shape)}", loc=("upstream",))


def _check_most(activation: Rowwise, call: Call, size: int) -> None:
    most = activation.most(**call.params)
    if size > most:
        raise LimitExceeded(activation.name, estimate=size, limit=most, unit="elements", loc=("inputs",))


def _check_jacobian(size: int) -> None:
    if size > JACOBIAN_LIMIT:
        raise LimitExceeded(
            "the Jacobian", estimate=size, limit=JACOBIAN_LIMIT, unit="numbers", loc=("inputs",)
        )
