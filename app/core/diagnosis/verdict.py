"""The verdict on a network: the state it is in, and the sentences that say so.

Every figure is a median over the experiment's networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from app.core.activations.definition import Text
from app.core.diagnosis.theory import Theory, shared_sigmas
from app.core.propagation.network import Network
from app.core.propagation.statistics import Figures, Spread, summarise

State: TypeAlias = Literal["vanishing", "healthy", "exploding", "saturated", "dying"]


DECADE = 1.0
"""|log10_ratio| up to this is healthy: one learning rate serves layers whose gradients differ tenfold."""

DYING = 0.9
"""A layer dies when more of its units than this are dead for the whole batch: the rest is a bottleneck."""

SATURATED = {0: 2.0, 1: 0.9, 2: 0.5}
"""Share of saturated pairs of unit and input beyond which a layer is saturated, by the number of sides on
which the activation saturates. On two sides: more than half of the signal is flat. On one side half of it is
by design (symmetric pre-activations), so that only nearly all counts. Without such a side nothing does."""


@dataclass(frozen=True)
class Verdict:
    """The state, the layer that shows it (None where it is no single layer's), and layers that can learn."""

    state: State
    layer: int | None
    usable_depth: int
    summary: Text


def judge(network: Network, networks: list[Figures], theory: Theory | None) -> Verdict:
    """The verdict on the networks of one experiment."""
    layers = summarise(networks)
    ratio = float(np.median([each.log10_ratio for each in networks]))
    state, layer = _state(network, layers, ratio, [each.overflow for each in networks])
    depth = _usable_depth(layers["gradient_log10_rms"].median)
    return Verdict(state, layer, depth, _summary(network, state, layer, ratio, depth, theory))


def _state(
    network: Network, layers: dict[str, Spread], ratio: float, overflows: list[int | None]
) -> tuple[State, int | None]:
    found = [each for each in overflows if each is not None]
    if 2 * len(found) > len(overflows):
        return "exploding", min(found)
    dying = _first(layers["dead_fraction"].median > DYING)
    if dying is not None:
        return "dying", dying
    if ratio > DECADE:
        return "exploding", None
    flat = SATURATED[len(network.call.activation.saturates)]
    saturated = _first(layers["saturated_fraction"].median > flat)
    if saturated is not None:
        return "saturated", saturated
    return ("healthy" if abs(ratio) <= DECADE else "vanishing"), None


def _first(layers: np.ndarray[Any, Any]) -> int | None:
    return int(np.argmax(layers)) + 1 if layers.any() else None


def _usable_depth(gradient_log10_rms: np.ndarray[Any, Any]) -> int:
    """Layers from the loss over which the gradient stays within a decade of the last layer's."""
    back = gradient_log10_rms[::-1]
    with np.errstate(invalid="ignore"):
        near = np.abs(back - back[0]) <= DECADE
    return len(near) if near.all() else int(np.argmin(near))


_OPENING: dict[State, Text] = {
    "vanishing": Text(
        "The gradient vanishes: it shrinks by 10^{decades:.3g} from the last layer to the first.",
        "그래디언트가 소실됩니다. 마지막 층에서 첫 층까지 10^{decades:.3g}분의 1로 줄어듭니다.",
    ),
    "exploding": Text(
        "The gradient explodes: it grows by 10^{decades:.3g} from the last layer to the first.",
        "그래디언트가 폭주합니다. 마지막 층에서 첫 층까지 10^{decades:.3g}배로 커집니다.",
    ),
    "saturated": Text(
        "Layer {layer} is saturated: most pre-activations lie where the activation is flat.",
        "{layer}번째 층이 포화되었습니다. 대부분의 입력이 활성화 함수의 평평한 구간에 놓입니다.",
    ),
    "dying": Text(
        "Layer {layer} is dying: more than 90 % of its units have slope 0 for every input of the batch.",
        "{layer}번째 층이 죽어 갑니다. 유닛의 90 % 이상이 배치의 모든 입력에서 기울기가 0입니다.",
    ),
    "healthy": Text(
        "The gradient survives: it stays within a factor of ten from the last layer to the first.",
        "그래디언트가 살아남습니다. 마지막 층과 첫 층의 차이가 열 배를 넘지 않습니다.",
    ),
}
_OVERFLOW = Text(
    "The signal overflows in layer {layer}: no gradient is left to speak of.",
    "{layer}번째 층에서 신호가 오버플로를 일으켜 그래디언트를 정의할 수 없습니다.",
)


def _summary(
    network: Network, state: State, layer: int | None, ratio: float, depth: int, theory: Theory | None
) -> Text:
    opening = _OVERFLOW if state == "exploding" and layer else _OPENING[state]
    values = {"decades": abs(ratio), "layer": layer}
    sentences = [Text(*(each.format(**values) for each in opening)), *_reasons(network, state, theory)]
    if state != "healthy":
        sentences.append(
            Text(
                f"Layers that can learn, counted from the loss: {depth} of {network.depth}.",
                f"손실 쪽에서 세어 학습할 수 있는 층은 {network.depth}개 중 {depth}개입니다.",
            )
        )
    return Text(*(" ".join(each) for each in zip(*sentences, strict=True)))


def _reasons(network: Network, state: State, theory: Theory | None) -> Iterator[Text]:
    """What the activation's own facts and the theory say about the cause."""
    entry = network.call.activation
    steepest = entry.number(entry.largest_slope, {**entry.defaults, **network.call.scalars})
    if state == "vanishing" and steepest < 1:
        yield Text(
            f"The activation's slope is at most {steepest:.3g}.",
            f"이 활성화 함수의 기울기는 최대 {steepest:.3g}입니다.",
        )
    if state in ("vanishing", "saturated") and not entry.zero_centred:
        yield Text("Its outputs are not centred on zero.", "출력의 평균이 0이 아닙니다.")
    sigmas = shared_sigmas(network)
    if state == "healthy" or theory is None or sigmas is None or math.isnan(theory.critical_sigma_w):
        return
    given, edge = sigmas[0], theory.critical_sigma_w
    if abs(given / edge - 1) > 0.01:
        side = Text("below", "작습니다") if given < edge else Text("above", "큽니다")
        yield Text(
            f"σ_w = {given:.3g} lies {side.en} the critical {edge:.3g}.",
            f"σ_w = {given:.3g}: 임계값 {edge:.3g}보다 {side.ko}.",
        )
