"""Maxout: the largest of several linear functions, so that a network learns its activation's shape.

Sums of products, forward and backward, are right to an ulp of their largest term: they may cancel.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from app.core.activations.definition import Reference, Rowwise, Text, formulas
from app.core.activations.parameters import Integers, Parameter
from app.core.arithmetic import Array, Value
from app.core.arithmetic.compiled import compiled
from app.core.arithmetic.summation import accurate_matmul
from app.core.errors import InvalidValue

_PIECES = 2
"""The number of pieces where neither it nor weights are given."""


def _deduce(params: Mapping[str, Value]) -> dict[str, Value]:
    """The number of pieces, the weights' where they are given; raises `InvalidValue` on contradictions."""
    weights, biases = params.get("weights"), params.get("biases")
    if weights is None:
        if biases is not None:
            raise InvalidValue("biases need weights", loc=("params", "biases"))
        return {"pieces": float(_PIECES), **params}
    pieces, units, _ = np.shape(weights)
    if not np.size(weights):
        raise InvalidValue("must not be empty", loc=("params", "weights"))
    if params.get("pieces", pieces) != pieces:
        raise InvalidValue(f"must be {pieces}, as many as the weights have", loc=("params", "pieces"))
    if biases is not None and np.shape(biases) != (pieces, units):
        raise InvalidValue(f"must have the shape [{pieces}, {units}]", loc=("params", "biases"))
    return {**params, "pieces": float(pieces)}


def _width(n: int, pieces: float, weights: Array | None = None, biases: Array | None = None) -> int:
    del biases
    if weights is None:
        if n % int(pieces):
            raise InvalidValue(f"the axis must have a multiple of {int(pieces)} elements", loc=("inputs",))
        return n // int(pieces)
    if n != weights.shape[2]:
        raise InvalidValue(f"the axis must have {weights.shape[2]} elements, as the weights", loc=("inputs",))
    return int(weights.shape[1])


def _candidates(x: Array, pieces: float, weights: Array | None, biases: Array | None) -> Array:
    """(..., n) to (..., m, pieces): what each output is the largest of."""
    if weights is None:
        return x.reshape(*x.shape[:-1], x.shape[-1] // int(pieces), int(pieces))
    count, units, inputs = weights.shape
    rows = x.reshape(-1, inputs)
    matrix = np.moveaxis(weights, 0, 1).reshape(units * count, inputs)
    if biases is not None:  # as the weight of an input that is always 1, so that it is summed as exactly
        rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        matrix = np.concatenate([matrix, biases.T.reshape(-1, 1)], axis=1)
    return accurate_matmul(rows, matrix.T).reshape(*x.shape[:-1], units, count)


def _winners(candidates: Array) -> NDArray[np.intp]:
    """The first of the largest, (..., m); a NaN wins."""
    return np.asarray(candidates.argmax(axis=-1))


def _value(
    x: Array, pieces: float, weights: Array | None = None, biases: Array | None = None, *, odd: bool = False
) -> Array:
    del odd  # what is compared is rounded already
    candidates = _candidates(x, pieces, weights, biases)
    place = _winners(candidates)[..., None]  # NumPy finds places along a short axis faster than maxima
    return np.take_along_axis(candidates, place, axis=-1)[..., 0]


def _jacobian(
    x: Array, pieces: float, weights: Array | None = None, biases: Array | None = None, *, odd: bool = False
) -> Array:
    del odd  # the weights are numbers that were given
    candidates = _candidates(x, pieces, weights, biases)
    winners = _winners(candidates)
    unknown = np.where(np.isnan(candidates).any(axis=-1), np.nan, 0.0)
    if weights is not None:
        return weights[winners, np.arange(weights.shape[1])] + unknown[..., None]
    m, count = candidates.shape[-2:]
    jacobian = np.zeros((*candidates.shape[:-1], m, count))
    unit = np.arange(m)
    jacobian[..., unit, unit, :] = (np.arange(count) == winners[..., None]) + unknown[..., None]
    return jacobian.reshape(*candidates.shape[:-1], m * count)


def _pullback(
    x: Array,
    upstream: Array,
    pieces: float,
    weights: Array | None = None,
    biases: Array | None = None,
    *,
    odd: bool = False,
) -> tuple[Array, Mapping[str, Array]]:
    """dL/dx_k = Σ_i u_i W_wik, w the winner of i; dL/dW_pik = Σ u_i x_k and dL/db_pi = Σ u_i where p won."""
    del odd  # its sums are right to an ulp of their largest term
    candidates = _candidates(x, pieces, weights, biases)
    unknown = np.isnan(candidates).any(axis=-1)
    seed = np.where(unknown, np.nan, upstream)
    won = np.arange(candidates.shape[-1]) == _winners(candidates)[..., None]
    routed = np.where(won, seed[..., None], 0.0)
    if weights is None:
        return routed.reshape(x.shape), {}
    count, units, inputs = weights.shape
    matrix = np.moveaxis(weights, 0, 1).reshape(units * count, inputs)
    flat = routed.reshape(-1, units * count)
    gradient = accurate_matmul(flat, matrix).reshape(x.shape)
    by_weight = accurate_matmul(flat.T, x.reshape(-1, inputs)).reshape(units, count, inputs)
    gradients: dict[str, Array] = {"weights": np.moveaxis(by_weight, 1, 0)}
    if biases is not None:
        total = accurate_matmul(flat.T, np.ones((len(flat), 1)))
        gradients["biases"] = total.reshape(units, count).T
    return gradient, gradients


@compiled(
    "void(f4[:,:,::1], f4[:,::1], f4[:,:,::1])",
    "void(f8[:,:,::1], f8[:,::1], f8[:,:,::1])",
)
def _group(z: Array, outputs: Array, slopes: Array) -> None:
    """The same for groups along the middle axis: of equal pieces the first wins, and a NaN wins over all."""
    # Selections instead of branches, which cannot be foreseen; the winners' numbers lie in the first slopes.
    for group in range(z.shape[0]):
        best, winner = outputs[group], slopes[group, 0]
        for column in range(z.shape[2]):
            best[column] = z[group, 0, column]
            winner[column] = 0.0
        for piece in range(1, z.shape[1]):
            for column in range(z.shape[2]):
                other, held = z[group, piece, column], best[column]
                better = (other > held) | (np.isnan(other) & ~np.isnan(held))
                best[column] = other if better else held
                winner[column] = piece if better else winner[column]
        for piece in range(z.shape[1] - 1, -1, -1):
            for column in range(z.shape[2]):
                one = 1.0 if winner[column] == piece else 0.0
                slopes[group, piece, column] = best[column] if np.isnan(best[column]) else one


MAXOUT = Rowwise(
    name="maxout",
    title=Text("Maxout", "맥스아웃"),
    summary=Text(
        "The largest of several inputs, or with weights the largest of several linear functions of the "
        "input: a convex function whose shape the network learns. It neither saturates nor dies, since "
        "whichever piece is largest passes the gradient on whole; but each piece needs a set of weights. "
        "Inputs are grouped in order: output j is the largest of inputs j·pieces to j·pieces + pieces − 1. "
        "Where pieces are equal, the first one is taken.",
        "여러 입력 가운데 가장 큰 값, 가중치가 있으면 입력의 여러 선형 함수 가운데 가장 큰 값입니다. 모양을 "
        "신경망이 학습하는 볼록 함수입니다. 가장 큰 조각이 그래디언트를 그대로 넘겨주므로 포화되지도 죽지도 "
        "않지만, 조각 수만큼 가중치가 더 듭니다. 입력은 차례대로 묶으며, 출력 j는 입력 j·pieces부터 "
        "j·pieces + pieces − 1까지 가운데 가장 큰 값입니다. 값이 같으면 앞의 조각을 고릅니다.",
    ),
    parameters=(
        Parameter(
            name="pieces",
            symbol="r",
            description=(
                "how many candidates an output is chosen from; by default 2, or as many as the weights have",
                "출력 하나를 고르는 후보의 수. 가중치가 없으면 2, 있으면 가중치의 조각 수",
            ),
            domain=Integers(1, 1_000_000),
            typical=(1, 4),
        ),
        Parameter(
            name="weights",
            symbol="W",
            description=(
                "the linear functions: pieces × outputs × inputs. Without them inputs are compared",
                "선형 함수들: 조각 × 출력 × 입력. 없으면 입력끼리 비교합니다",
            ),
            shape=("pieces", "out", "in"),
            learnable=True,
            trained=True,
        ),
        Parameter(
            name="biases",
            symbol="b",
            description=(
                "added to the linear functions: pieces × outputs; zero where not given",
                "선형 함수에 더하는 값: 조각 × 출력. 주지 않으면 0입니다",
            ),
            shape=("pieces", "out"),
            learnable=True,
            trained=True,
        ),
    ),
    # Comparing inputs is the affine form with weights that select them.
    formulas=formulas(
        "max(z[p, i] for p in pieces)",
        "weights[w, i, k]",
        **{
            "weights[p, i, j]": "1 if j == pieces * i + p else 0",
            "biases[p, i]": "0",
            "z[p, i]": "sum(weights[p, i, j] * x[j] for j in n) + biases[p, i]",
            "w": "min(p for p in pieces if z[p, i] == max(z[q, i] for q in pieces))",
        },
    ),
    width=_width,
    value=_value,
    jacobian=_jacobian,
    pullback=_pullback,
    deduce=_deduce,
    group=_group,
    range="(-inf, inf)",
    limits=("-inf", "inf"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    references=(
        Reference(
            authors="Goodfellow, Warde-Farley, Mirza, Courville, Bengio",
            title="Maxout Networks",
            year=2013,
            identifier="arXiv:1302.4389",
        ),
    ),
)

FAMILY = (MAXOUT,)
