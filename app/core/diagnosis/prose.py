"""A verdict in words, English and Korean: what was found, why, and how much of the network can learn."""

from __future__ import annotations

import math
from collections.abc import Iterator

from app.core.activations.definition import Text
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.theory import Theory, shared_sigmas
from app.core.diagnosis.verdict import DEPTH_OVER_WIDTH, UNDEFINED_AT, Finding, State, Verdict

_OFF = 0.01
"""Relative distance from the critical σ_w that is worth a sentence."""

_CROWDED = 0.25
"""Share of saturated pairs from which on larger weights are no advice."""

_VANISHING = (
    "The gradient vanishes: its norm shrinks by 10^{decades:.3g} from the last layer to the first.",
    "그래디언트가 소실됩니다. 마지막 층에서 첫 층까지 크기가 10^{decades:.3g}분의 1로 줄어듭니다.",
)
_NARROW = (
    "The gradient vanishes in all but a few directions: the layers are too narrow for so many of them, the "
    "sum of 1/width is {sum:.3g}.",
    "그래디언트가 몇몇 방향을 빼고 소실됩니다. 층 수에 비해 너비가 좁아 1/너비의 합이 {sum:.3g}에 이릅니다.",
)
_EXPLODING = (
    "The gradient explodes: that of the weights grows by 10^{decades:.3g} from the last layer to the first.",
    "그래디언트가 폭발합니다. 마지막 층에서 첫 층까지 가중치의 그래디언트가 10^{decades:.3g}배로 커집니다.",
)
_GROWING = (
    "The signal explodes: it grows by 10^{decades:.3g} from the inputs to the last layer.",
    "신호가 폭발합니다. 입력에서 마지막 층까지 10^{decades:.3g}배로 커집니다.",
)
_OVERFLOW = (
    "The signal overflows in layer {layer}: the gradient is not defined.",
    "{layer}번째 층에서 신호가 오버플로를 일으켜 그래디언트를 정의할 수 없습니다.",
)
_UNDEFINED = (
    "The function has no value at some numbers, at {x:g} for example: in layer {layer} the signal is NaN.",
    "함숫값이 정의되지 않는 곳이 있어(예: x = {x:g}) {layer}번째 층의 신호가 NaN이 됩니다.",
)
_SATURATED = (
    "Layer {layer} is saturated: {percent:.3g} % of its pre-activations lie where the activation is flat.",
    "{layer}번째 층이 포화되었습니다. 활성화 함수 입력의 {percent:.3g} %가 평평한 구간에 놓입니다.",
)
_DYING = (
    "Layer {layer} is dying: {percent:.3g} % of its units have slope 0 for every input of the batch.",
    "{layer}번째 층이 죽어 갑니다. 유닛의 {percent:.3g} %가 배치의 모든 입력에서 기울기가 0입니다.",
)
_COLLAPSED = (
    "The inputs become one: from layer {layer} on the network can hardly tell them apart.",
    "입력들이 하나로 붕괴합니다. {layer}번째 층부터는 서로 거의 구별되지 않습니다.",
)
_DEAD = (
    "The network is dead: in {dead} of {networks} networks no gradient at all passes layer {layer}.",
    "신경망이 죽었습니다. {networks}개 중 {dead}개에서 그래디언트가 {layer}번째 층을 전혀 통과하지 못합니다.",
)


def summary(experiment: Experiment, verdict: Verdict, theory: Theory | None) -> Text:
    """The whole verdict, in a few sentences."""
    figures = verdict.figures
    sentences = [sentence(each, verdict) for each in verdict.findings] or [_healthy(verdict)]
    sentences += _reasons(experiment, verdict, theory)
    depth = len(figures.layers)
    if verdict.usable_depth < depth:
        sentences.append(
            Text(
                f"Layers that can learn, counted from the loss: {verdict.usable_depth} of {depth}.",
                f"손실 쪽에서 세어 학습할 수 있는 층은 {depth}개 중 {verdict.usable_depth}개입니다.",
            )
        )
    return Text(*(" ".join(each) for each in zip(*sentences, strict=True)))


def sentence(finding: Finding, verdict: Verdict) -> Text:
    """One finding, as a sentence."""
    evidence, values = finding.evidence, {"layer": finding.layer}
    match finding.state:
        case "vanishing" if DEPTH_OVER_WIDTH in evidence:
            return _said(_NARROW, sum=evidence[DEPTH_OVER_WIDTH])
        case "vanishing":
            return _said(_VANISHING, decades=-evidence["gradient_log10_ratio"])
        case "exploding":
            return _explosion(finding)
        case "saturated":
            return _said(_SATURATED, percent=100 * evidence["saturated_fraction"], **values)
        case "dying":
            return _said(_DYING, percent=100 * evidence["dead_fraction"], **values)
        case "collapsed":
            return _said(_COLLAPSED, **values)
        case "dead":
            figures = verdict.figures
            return _said(_DEAD, dead=figures.dead, networks=figures.networks, **values)


def _explosion(finding: Finding) -> Text:
    evidence, layer = finding.evidence, finding.layer
    if UNDEFINED_AT in evidence:
        return _said(_UNDEFINED, x=evidence[UNDEFINED_AT], layer=layer)
    if layer is not None:
        return _said(_OVERFLOW, layer=layer)
    if "signal_log10_ratio" in evidence:
        return _said(_GROWING, decades=evidence["signal_log10_ratio"])
    return _said(_EXPLODING, decades=evidence["weight_gradient_log10_ratio"])


def _said(sentences: tuple[str, str], **values: object) -> Text:
    return Text(*(each.format(**values) for each in sentences))


def _healthy(verdict: Verdict) -> Text:
    figures = verdict.figures
    if len(figures.layers) == 1:
        return Text("The gradient reaches the one layer there is.", "하나뿐인 층에 그래디언트가 도달합니다.")
    gradient, weights = (10 ** float(each[0]) for each in (figures.gradients, figures.weight_gradients))
    return Text(
        f"The gradient survives: in the first layer its norm is {gradient:.3g} times that in the last, "
        f"and that of the weights {weights:.3g} times.",
        f"그래디언트가 살아남습니다. 첫 층에서의 크기는 마지막 층의 {gradient:.3g}배이고, "
        f"가중치의 그래디언트는 {weights:.3g}배입니다.",
    )


def _reasons(experiment: Experiment, verdict: Verdict, theory: Theory | None) -> Iterator[Text]:
    """What the networks, the activation's own facts and the theory say about the cause."""
    figures, states = verdict.figures, _states(verdict)
    if figures.dead > 0 and "dead" not in states:
        yield Text(
            f"No gradient at all reaches the first layer in {figures.dead} of {figures.networks} networks.",
            f"신경망 {figures.networks}개 중 {figures.dead}개에서는 첫 층에 그래디언트가 전혀 닿지 않습니다.",
        )
    call = experiment.network.call
    entry = call.activation
    steepest = entry.number(entry.largest_slope, {**entry.defaults, **call.scalars})
    if "vanishing" in states and steepest < 1:
        yield Text(
            f"The activation's slope is at most {steepest:.3g}.",
            f"이 활성화 함수의 기울기는 최대 {steepest:.3g}입니다.",
        )
    if states & {"vanishing", "saturated", "collapsed"} and not entry.zero_centred:
        yield Text("Its outputs are not centred on zero.", "활성화 함수의 출력 평균이 0이 아닙니다.")
    if theory is not None:
        yield from _criticality(experiment, verdict, theory)


def _states(verdict: Verdict) -> set[State]:
    """What has a reason in the activation or the initialisation: layers that are too narrow have not."""
    return {each.state for each in verdict.findings if DEPTH_OVER_WIDTH not in each.evidence}


def _criticality(experiment: Experiment, verdict: Verdict, theory: Theory) -> Iterator[Text]:
    """On which side of the edge of chaos the network is, where that is the cause."""
    sigmas, edge = shared_sigmas(experiment.network), theory.critical_sigma_w
    if sigmas is None or not abs(sigmas[0] / edge - 1) > _OFF:  # NaN is no edge
        return
    states, chi = _states(verdict), float(theory.point.chi_1)
    crowded = float(max(verdict.figures.of("saturated_fraction"), default=math.nan)) > _CROWDED
    crowded &= len(experiment.network.call.activation.saturates) > 1
    if states & {"vanishing", "collapsed"} and chi < 1 and sigmas[0] < edge and not crowded:
        side = Text("below", "작습니다")
    elif "exploding" in states and chi > 1 and sigmas[0] > edge:
        side = Text("above", "큽니다")
    else:
        return
    given = f"{sigmas[0]:.3g}"
    particle = "으로" if given[-1] in "036" else "로"  # as the last digit is read: 영, 삼, 육
    yield Text(
        f"σ_w = {given} lies {side.en} the critical {edge:.3g}.",
        f"σ_w가 {given}{particle}, 임곗값 {edge:.3g}보다 {side.ko}.",
    )
