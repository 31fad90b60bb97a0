"""S-shaped functions: bounded, increasing, saturating on both sides."""

from __future__ import annotations

import numpy as np

from app.core.activations.definition import Derivatives, Elementwise, FrameworkName, Reference, Text, formulas
from app.core.activations.parameters import Array


def _sigmoid(x: Array) -> Derivatives:
    e = np.exp(-np.abs(x))
    d = 1 + e
    yield np.where(x < 0, e, 1.0) / d
    slope = e / (d * d)  # not s·(1−s): that is 0 from x = 37 on, where the slope still is e^−x
    yield slope
    yield np.copysign(slope * ((1 - e) / d), -x)


def _tanh(x: Array) -> Derivatives:
    t = np.tanh(x)
    yield t
    e = np.exp(-2 * np.abs(x))
    d = 1 + e
    slope = 4 * e / (d * d)  # 1/cosh², not 1 − tanh²: that cancels where the gradient vanishes
    yield slope
    yield -2 * t * slope


SIGMOID = Elementwise(
    name="sigmoid",
    title=Text("Sigmoid", "시그모이드"),
    summary=Text(
        "Squeezes any number into (0, 1). Its slope is at most 1/4, so gradients shrink at least fourfold in "
        "every layer at unit weights, and its outputs are all positive, which makes weight updates zigzag.",
        "모든 수를 0과 1 사이로 눌러 담습니다. 기울기가 최대 1/4이라 가중치가 1이면 층을 지날 때마다 "
        "그래디언트가 4분의 1 이하로 줄고, 출력이 모두 양수라 가중치가 지그재그로 갱신됩니다.",
    ),
    formulas=formulas(
        "1 / (1 + exp(-x))",
        "exp(-x) / (1 + exp(-x))**2",
        "-exp(-x) * (1 - exp(-x)) / (1 + exp(-x))**3",
    ),
    derivatives=_sigmoid,
    range="(0, 1)",
    limits=("0", "1"),
    largest_slope="1/4",
    zero_centred=False,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="Verhulst",
            title="Notice sur la loi que la population suit dans son accroissement",
            year=1838,
        ),
    ),
    frameworks=(
        FrameworkName(framework="torch", names=("Sigmoid", "sigmoid")),
        FrameworkName(framework="jax", names=("sigmoid",)),
        FrameworkName(framework="keras", names=("sigmoid",)),
        FrameworkName(framework="onnx", names=("Sigmoid",)),
    ),
)

TANH = Elementwise(
    name="tanh",
    title=Text("Hyperbolic tangent", "하이퍼볼릭 탄젠트"),
    summary=Text(
        "A sigmoid stretched to (−1, 1). Its outputs are centred on zero and its slope reaches 1, "
        "but it still saturates: far from zero the gradient vanishes.",
        "시그모이드를 −1과 1 사이로 늘인 함수입니다. 출력이 0을 중심으로 퍼지고 기울기도 1까지 오르지만, "
        "0에서 멀어지면 여전히 포화되어 그래디언트가 사라집니다.",
    ),
    formulas=formulas("tanh(x)", "sech(x)**2", "-2 * tanh(x) * sech(x)**2"),
    derivatives=_tanh,
    range="(-1, 1)",
    limits=("-1", "1"),
    largest_slope="1",
    zero_centred=True,
    monotone=True,
    smoothness=np.inf,
    saturates=frozenset({"negative", "positive"}),
    references=(
        Reference(
            authors="LeCun, Bottou, Orr, Müller",
            title="Efficient BackProp",
            year=1998,
            identifier="doi:10.1007/3-540-49430-8_2",
        ),
    ),
    frameworks=(
        FrameworkName(framework="torch", names=("Tanh", "tanh")),
        FrameworkName(framework="jax", names=("tanh",)),
        FrameworkName(framework="keras", names=("tanh",)),
        FrameworkName(framework="onnx", names=("Tanh",)),
    ),
)

FAMILY = (SIGMOID, TANH)
