"""Maps of a row to a row of scores or probabilities: softmax, its logarithm, its hard and its sparse limit.

Values and Jacobians are within 2 ulp, and so is each element of a vector–Jacobian product, where the ulp is
that of the largest term of its sum: u_i ∂y_i/∂x_k.

Where a row holds +∞ once, or −∞ beside finite numbers, the results are the limits. Where it holds +∞ more
than once, or nothing but −∞, there is no limit (hardmax apart, which only compares): the row becomes NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.core.activations import shares
from app.core.activations.definition import Reference, Rowwise, Text, formulas
from app.core.activations.papers import MARTINS_2016, OPENAI_2025
from app.core.activations.parameters import Flags, Interval, Parameter
from app.core.arithmetic import Array, Value
from app.core.arithmetic.loops import GIVEN

Loop: TypeAlias = Callable[..., None]


class _Rows:
    """The three functions a `Rowwise` entry needs, from the loops that compute them."""

    def __init__(self, value: Loop, jacobian: Loop, pullback: Loop, *, sign: float = 1.0) -> None:
        self._loops = value, jacobian, pullback
        self._sign = sign

    def value(self, x: Array, *, odd: bool = False, mask: Value = 1.0) -> Array:
        """(..., n) to (..., n)."""
        rows, keep = self._prepared(x, mask)
        out = np.empty(rows.shape)
        self._loops[0](rows, keep, odd, out)
        return out.reshape(x.shape)

    def jacobian(self, x: Array, *, odd: bool = False, mask: Value = 1.0) -> Array:
        """(..., n) to (..., n, n)."""
        rows, keep = self._prepared(x, mask)
        out = np.empty((*rows.shape, rows.shape[1]))
        self._loops[1](rows, keep, odd, out)
        return self._sign * out.reshape(*x.shape, x.shape[-1])

    def pullback(
        self, x: Array, upstream: Array, *, odd: bool = False, mask: Value = 1.0
    ) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., n)."""
        rows, keep = self._prepared(x, mask)
        out = np.empty(rows.shape)
        self._loops[2](rows, keep, odd, _writable(upstream, rows.shape), out)
        return self._sign * out.reshape(x.shape), {}

    def _prepared(self, x: Array, mask: Value) -> tuple[Array, NDArray[np.bool_]]:
        keep = np.broadcast_to(np.asarray(mask) != 0, x.shape)
        shape = (math.prod(x.shape[:-1]), x.shape[-1])
        return self._sign * _writable(x, shape), np.array(keep.reshape(shape), order="C")


def _writable(x: Array, shape: tuple[int, ...]) -> Array:
    """``x`` as the loops take it; they write nothing to it."""
    return np.require(x.reshape(shape), np.float64, ["C", "W"])


class _WithSink:
    """Softmax of a row and one additional score, the attention sink's, whose share is dropped."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    def value(self, x: Array, *, odd: bool = False, mask: Value = 1.0, sink: Value = 0.0) -> Array:
        """(..., n) to (..., n)."""
        row, keep = self._longer(x, mask, sink)
        return self._rows.value(row, odd=odd, mask=keep)[..., :-1]

    def jacobian(self, x: Array, *, odd: bool = False, mask: Value = 1.0, sink: Value = 0.0) -> Array:
        """(..., n) to (..., n, n)."""
        row, keep = self._longer(x, mask, sink)
        return self._rows.jacobian(row, odd=odd, mask=keep)[..., :-1, :-1]

    def pullback(
        self, x: Array, upstream: Array, *, odd: bool = False, mask: Value = 1.0, sink: Value = 0.0
    ) -> tuple[Array, Mapping[str, Array]]:
        """dL/dx, (..., n), and dL/dsink, the exact sum of the rows' contributions, each rounded once."""
        row, keep = self._longer(x, mask, sink)
        seed = np.concatenate([upstream, np.zeros((*x.shape[:-1], 1))], axis=-1)
        pulled, _ = self._rows.pullback(row, seed, odd=odd, mask=keep)
        each = np.ascontiguousarray(pulled[..., -1]).reshape(-1)
        total = GIVEN.sums(each, np.ones(each.shape), {}, 1, 0, odd=odd)
        return pulled[..., :-1], {"sink": total.reshape(())}

    @staticmethod
    def _longer(x: Array, mask: Value, sink: Value) -> tuple[Array, Array]:
        one = (*x.shape[:-1], 1)
        keep = np.broadcast_to(np.asarray(mask, np.float64), x.shape)
        return (
            np.concatenate([x, np.full(one, float(sink))], axis=-1),
            np.concatenate([keep, np.ones(one)], axis=-1),
        )


def _hardmax_jacobian(x: Array, keep: NDArray[np.bool_], odd: bool, out: Array) -> None:
    del keep, odd
    out[...] = np.where(np.isnan(x).any(axis=-1), np.nan, 0.0)[:, None, None]


def _hardmax_pullback(x: Array, keep: NDArray[np.bool_], odd: bool, upstream: Array, out: Array) -> None:
    del keep, odd
    unknown = np.isnan(x) | np.isnan(upstream)
    out[...] = np.where(unknown.any(axis=-1, keepdims=True), np.nan, 0.0)


MASK = Parameter(
    name="mask",
    symbol="m",
    description=(
        "1 for elements that count, 0 for those left out, whose output is 0 (−∞ under log-softmax)",
        "계산에 넣을 원소는 1, 뺄 원소는 0. 뺀 원소의 출력은 0입니다(로그 소프트맥스에서는 −∞)",
    ),
    domain=Flags(),
    typical=(0.0, 1.0),
    broadcasts=True,
)

_SOFTMAX = _Rows(shares.softmax, shares.softmax_jacobian, shares.softmax_pullback)
_SOFTMIN = _Rows(shares.softmax, shares.softmax_jacobian, shares.softmax_pullback, sign=-1.0)
_LOG_SOFTMAX = _Rows(shares.log_softmax, shares.log_softmax_jacobian, shares.log_softmax_pullback)
_HARDMAX = _Rows(shares.hardmax, _hardmax_jacobian, _hardmax_pullback)
_ENTMAX15 = _Rows(shares.entmax15, shares.entmax15_jacobian, shares.entmax15_pullback)
_SINK = _WithSink(_SOFTMAX)
_SPARSEMAX = _Rows(shares.sparsemax, shares.sparsemax_jacobian, shares.sparsemax_pullback)


def _same(n: int, **_: Value) -> int:
    return n


_BRIDLE = Reference(
    authors="Bridle",
    title="Probabilistic Interpretation of Feedforward Classification Network Outputs, with Relationships to "
    "Statistical Pattern Recognition",
    year=1990,
    identifier="doi:10.1007/978-3-642-76153-9_28",
)

SOFTMAX = Rowwise(
    name="softmax",
    title=Text("Softmax", "소프트맥스"),
    summary=Text(
        "Turns a row of scores into probabilities: positive and adding up to 1. Adding a constant to all "
        "scores changes nothing. Once one probability is close to 1, all gradients vanish, which is why "
        "networks are trained through its logarithm.",
        "한 행의 점수를 모두 양수이고 합이 1인 확률로 바꿉니다. 모든 점수에 같은 값을 더해도 결과는 "
        "같습니다. 확률 하나가 1에 가까워지면 그래디언트가 모두 사라지므로, 학습할 때는 로그를 취한 형태를 "
        "씁니다.",
    ),
    formulas=formulas(
        "exp(x[i]) / sum(exp(x[j]) for j in n)",
        "s[i] * (1 - s[i]) if k == i else -s[i] * s[k]",
        **{"s[i]": "exp(x[i]) / sum(exp(x[j]) for j in n)"},
    ),
    parameters=(MASK,),
    several_axes=True,
    width=_same,
    value=_SOFTMAX.value,
    jacobian=_SOFTMAX.jacobian,
    pullback=_SOFTMAX.pullback,
    range="(0, 1)",
    limits=("0", "1"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(_BRIDLE,),
)

SOFTMIN = Rowwise(
    name="softmin",
    title=Text("Softmin", "소프트민"),
    summary=Text(
        "Softmax of the negated scores: the smallest score gets the largest probability. It turns distances "
        "or energies into probabilities, and saturates just as softmax does.",
        "점수의 부호를 뒤집어 소프트맥스를 적용합니다. 가장 작은 점수가 가장 큰 확률을 얻습니다. 거리나 "
        "에너지를 확률로 바꿀 때 쓰며, 소프트맥스와 똑같이 포화됩니다.",
    ),
    formulas=formulas(
        "exp(-x[i]) / sum(exp(-x[j]) for j in n)",
        "-s[i] * (1 - s[i]) if k == i else s[i] * s[k]",
        **{"s[i]": "exp(-x[i]) / sum(exp(-x[j]) for j in n)"},
    ),
    parameters=(MASK,),
    several_axes=True,
    width=_same,
    value=_SOFTMIN.value,
    jacobian=_SOFTMIN.jacobian,
    pullback=_SOFTMIN.pullback,
    range="(0, 1)",
    limits=("1", "0"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=False,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(_BRIDLE,),
)

LOG_SOFTMAX = Rowwise(
    name="log_softmax",
    title=Text("Log-softmax", "로그 소프트맥스"),
    summary=Text(
        "The logarithm of softmax: log-probabilities, as the cross-entropy loss needs them. Computed in one "
        "piece it neither underflows nor loses digits, and its gradient, the one-hot vector minus softmax, "
        "does not vanish for a class that is wrongly thought impossible.",
        "소프트맥스의 로그, 곧 로그 확률입니다. 교차 엔트로피 손실에 바로 쓰입니다. 한 번에 계산하므로 "
        "언더플로도 유효숫자 손실도 없고, 그래디언트(원-핫 벡터 빼기 소프트맥스)는 정답을 거의 불가능하다고 "
        "잘못 본 경우에도 사라지지 않습니다.",
    ),
    formulas=formulas(
        "-log(sum(exp(x[j] - x[i]) for j in n))",
        "1 - s[k] if k == i else -s[k]",
        **{"s[i]": "exp(x[i]) / sum(exp(x[j]) for j in n)"},
    ),
    parameters=(MASK,),
    several_axes=True,
    width=_same,
    value=_LOG_SOFTMAX.value,
    jacobian=_LOG_SOFTMAX.jacobian,
    pullback=_LOG_SOFTMAX.pullback,
    range="(-inf, 0)",
    limits=("-inf", "0"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"positive"}),
    references=(_BRIDLE,),
)

HARDMAX = Rowwise(
    name="hardmax",
    title=Text("Hardmax", "하드맥스"),
    summary=Text(
        "1 for the largest score and 0 for the others: a decision, the limit of softmax for large scores. "
        "Where several scores are largest, the first one gets the 1. Its derivative is 0, so nothing before "
        "it learns.",
        "가장 큰 점수에 1, 나머지에 0을 주는 결정 함수로, 점수를 한없이 키운 소프트맥스의 극한입니다. 가장 "
        "큰 점수가 여럿이면 맨 앞의 것을 고릅니다. 도함수가 0이라 그 앞의 층은 학습되지 않습니다.",
    ),
    formulas=formulas(
        "1 if i == w else 0",
        "0",
        w="min(j for j in n if x[j] == max(x[l] for l in n))",
    ),
    parameters=(MASK,),
    several_axes=True,
    width=_same,
    value=_HARDMAX.value,
    jacobian=_HARDMAX.jacobian,
    pullback=_HARDMAX.pullback,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="0",
    zero_centred=False,
    monotone=True,
    smoothness=-1,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(authors="ONNX contributors", title="Open Neural Network Exchange: Hardmax", year=2017),
    ),
)

SPARSEMAX = Rowwise(
    name="sparsemax",
    title=Text("Sparsemax", "스파스맥스"),
    summary=Text(
        "The probability vector nearest to the scores: like softmax, but scores far below the largest get "
        "exactly 0. Its gradient spreads evenly over the support and is 0 outside, so a score that has "
        "dropped out receives no signal. At the border, where a score equals the threshold t, it is outside.",
        "점수에 가장 가까운 확률 벡터입니다. 소프트맥스와 비슷하지만 가장 큰 점수보다 한참 낮은 점수는 "
        "정확히 0이 됩니다. 그래디언트는 0이 아닌 성분에만 고르게 퍼지므로, 한번 0이 된 성분은 신호를 받지 "
        "못합니다. x가 문턱값 t와 같은 경계에서는 0인 쪽으로 봅니다.",
    ),
    formulas=formulas(
        "max(x[i] - t, 0)",
        "0 if min(x[i], x[k]) <= t else 1 - 1 / c if k == i else -(1 / c)",
        t="max((sum(x[l] for l in n if x[l] >= x[j]) - 1) / sum(1 for l in n if x[l] >= x[j]) for j in n)",
        c="sum(1 for j in n if x[j] > t)",
    ),
    parameters=(MASK,),
    several_axes=True,
    width=_same,
    value=_SPARSEMAX.value,
    jacobian=_SPARSEMAX.jacobian,
    pullback=_SPARSEMAX.pullback,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=0,
    saturates=frozenset({"negative", "positive"}),
    references=(MARTINS_2016,),
)

ENTMAX15 = Rowwise(
    name="entmax15",
    title=Text("1.5-entmax", "1.5-엔트맥스"),
    summary=Text(
        "Between softmax and sparsemax: probabilities that are squares of how far a score lies above a "
        "threshold, so that low scores get exactly 0 but the edge of the support is smooth. A score that has "
        "dropped out receives no signal.",
        "소프트맥스와 스파스맥스의 중간입니다. 점수가 문턱을 넘은 만큼을 제곱해 확률로 삼으므로, 낮은 점수는 "
        "정확히 0이 되지만 0이 되는 경계가 매끄럽습니다. 한번 0이 된 성분은 신호를 받지 못합니다.",
    ),
    formulas=formulas(
        "r[i]**2",
        "r[i] * (1 - r[i] / w) if k == i else -r[i] * r[k] / w",
        **{
            "q": "max(x[j] for j in n)",
            "z[j]": "x[j] - q",
            "h": "min(z[j] for j in n if sum((x[l] - x[j])**2 for l in n if x[l] > x[j]) < 4)",
            "c": "sum(1 for j in n if z[j] >= h)",
            "a": "sum(z[j] for j in n if z[j] >= h) / c",
            "t": "a - sqrt((4 - sum((z[j] - a)**2 for j in n if z[j] >= h)) / c)",
            "r[j]": "max(z[j] - t, 0) / 2",
            "w": "sum(r[j] for j in n)",
        },
    ),
    parameters=(MASK,),
    several_axes=True,
    width=_same,
    value=_ENTMAX15.value,
    jacobian=_ENTMAX15.jacobian,
    pullback=_ENTMAX15.pullback,
    range="[0, 1]",
    limits=("0", "1"),
    largest_slope="1",
    zero_centred=False,
    monotone=True,
    smoothness=1,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="Peters, Niculae, Martins",
            title="Sparse Sequence-to-Sequence Models",
            year=2019,
            identifier="arXiv:1905.05702",
        ),
    ),
)

SOFTMAX_SINK = Rowwise(
    name="softmax_sink",
    title=Text("Softmax with a sink", "싱크를 둔 소프트맥스"),
    summary=Text(
        "Softmax with one more score, the sink, in the sum but not in the output: the probabilities add up "
        "to less than 1, and attention may attend to nothing. A sink of 0 is softmax with 1 added to the sum "
        "(“off by one”); gpt-oss learns one sink a head.",
        "합에는 들어가지만 출력에는 나오지 않는 점수(싱크)를 하나 더 둔 소프트맥스입니다. 확률의 합이 1보다 "
        "작아지므로 어텐션이 어느 토큰도 보지 않을 수 있습니다. 싱크가 0이면 합에 1을 더한 소프트맥스이며, "
        "gpt-oss는 헤드마다 싱크를 하나씩 학습합니다.",
    ),
    formulas=formulas(
        "exp(x[i]) / (exp(sink) + sum(exp(x[j]) for j in n))",
        "s[i] * (1 - s[i]) if k == i else -s[i] * s[k]",
        **{"s[i]": "exp(x[i]) / (exp(sink) + sum(exp(x[j]) for j in n))"},
    ),
    parameters=(
        MASK,
        Parameter(
            name="sink",
            symbol="z",
            description=("the score of the sink; −∞ for none", "싱크의 점수. −∞이면 싱크가 없습니다"),
            domain=Interval("[-inf, inf)"),
            default=0.0,
            learnable=True,
        ),
    ),
    several_axes=True,
    width=_same,
    value=_SINK.value,
    jacobian=_SINK.jacobian,
    pullback=_SINK.pullback,
    range="(0, 1)",
    limits=("0", "1"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(authors="Miller", title="Attention Is Off By One", year=2023),
        Reference(
            authors="Xiao, Tian, Chen, Han, Lewis",
            title="Efficient Streaming Language Models with Attention Sinks",
            year=2023,
            identifier="arXiv:2309.17453",
        ),
        OPENAI_2025,
    ),
)

FAMILY = (SOFTMAX, SOFTMIN, LOG_SOFTMAX, HARDMAX, SPARSEMAX, ENTMAX15, SOFTMAX_SINK)
