"""A verdict in words, English and Korean: what was found, why, and how much of the network can learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from app.core.activations.definition import Text
from app.core.diagnosis.division import Division
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.theory import Theory, shared_sigmas
from app.core.diagnosis.verdict import BORDER, DEPTH_OVER_WIDTH, UNDEFINED_AT, Finding, State, Verdict
from app.core.korean import with_particles
from app.core.propagation.network import Network
from app.core.propagation.recurrent_block import RecurrentBlock
from app.core.propagation.residual_block import ResidualBlock
from app.core.propagation.transformer_block import TransformerBlock

_OFF = 0.01
"""Relative distance from the critical σ_w beyond which the summary mentions it."""

_UNCENTRED = {"vanishing", "saturated", "collapsed"}
"""States that outputs not centred on zero make worse."""

_NEAR = 100.0
"""Factor between the first variance and a border up to which the summary mentions the basin beyond."""

_TOO_SATURATED = 0.25
"""Share of saturated pairs above which larger weights are not recommended."""


class Nouns(NamedTuple):
    """What parts, inputs and gradient norms of a network are called, in both languages."""

    part: Text
    inputs: Text
    size: Text


_LAYER = Nouns(Text("layer", "층"), Text("inputs", "입력들이"), Text("its norm", "크기가"))
_BLOCK = _LAYER._replace(part=Text("block", "블록"))
_STEP = _LAYER._replace(part=Text("step", "시점"))
_CELL_STEP = _STEP._replace(size=Text("that of the cells", "셀 상태의 그래디언트가"))
_TOKENS = _BLOCK._replace(inputs=Text("tokens", "토큰들이"))

_VANISHING = Text(
    "The gradient vanishes: {size} shrinks by 10^{decades:.3g} from the last {part} to the first.",
    "그래디언트가 소실됩니다. 마지막 {part}에서 첫 {part}까지 {size} 10^{decades:.3g}분의 1로 줄어듭니다.",
)
_NARROW = Text(
    "The gradient vanishes in all but a few directions: the layers are too narrow for so many of them, the "
    "sum of 1/width is {sum:.3g}.",
    "몇몇 방향을 빼면 그래디언트가 소실됩니다. 층 수에 비해 너비가 좁아 1/너비의 합이 {sum:.3g}에 이릅니다.",
)
_EXPLODING = Text(
    "The gradient explodes: that of the weights grows by 10^{decades:.3g} from the last {part} to the first.",
    "그래디언트가 폭발합니다. 마지막 {part}에서 첫 {part}까지 가중치의 그래디언트가 10^{decades:.3g}배로 "
    "커집니다.",
)
_GROWING = Text(
    "The signal explodes: it grows by 10^{decades:.3g} from the inputs to the last {part}.",
    "신호가 폭발합니다. 입력에서 마지막 {part}까지 10^{decades:.3g}배로 커집니다.",
)
_OVERFLOW = Text(
    "The signal overflows in {part} {layer}: the gradient is not defined.",
    "{layer}번째 {part}에서 신호가 오버플로를 일으켜 그래디언트를 정의할 수 없습니다.",
)
_UNDEFINED = Text(
    "The function has no value at some numbers, at {x:g} for example: in {part} {layer} the signal is NaN.",
    "함숫값이 정의되지 않는 곳이 있어(예: x = {x:g}) {layer}번째 {part}의 신호가 NaN이 됩니다.",
)
_SATURATED = Text(
    "{Part} {layer} is saturated: {percent:.3g} % of its pre-activations lie where the activation is flat.",
    "{layer}번째 {part}이 포화되었습니다. 활성화 함수 입력의 {percent:.3g}%가 평평한 구간에 놓입니다.",
)
_DYING = Text(
    "{Part} {layer} is dying: {percent:.3g} % of its units have slope 0 for every input of the batch.",
    "{layer}번째 {part}이 죽어 갑니다. 유닛의 {percent:.3g}%가 배치의 모든 입력에서 기울기가 0입니다.",
)
_COLLAPSED = Text(
    "The {inputs} become one: from {part} {layer} on the network can hardly tell them apart.",
    "{inputs} 하나로 붕괴합니다. {layer}번째 {part}부터는 서로 거의 구별되지 않습니다.",
)
_DEAD = Text(
    "The network is dead: in {dead} of {networks} networks no gradient at all passes {part} {layer}.",
    "신경망이 죽었습니다. {networks}개 중 {dead}개에서 그래디언트가 {layer}번째 {part}을 전혀 통과하지 "
    "못합니다.",
)
_BASINS = Text(
    "There are two basins: signals of a variance below {border:.3g} {low}, those above {high}.",
    "끌림 영역이 둘입니다. 분산이 {border:.3g}보다 작은 신호는 {low}, 큰 신호는 {high}.",
)
_DIVIDED = Text(
    "In {below} of {networks} networks all inputs end below, in {above} all end above, and in {both} they "
    "end on both sides: {percent:.0f} % of all inputs end above.",
    "신경망 {networks}개 중 {below}개에서는 모든 입력이 작은 쪽으로, {above}개에서는 모두 큰 쪽으로 가고, "
    "{both}개에서는 입력마다 갈립니다. 전체 입력의 {percent:.0f}%가 큰 쪽으로 갑니다.",
)
_ALL_BELOW = Text(
    "In all {networks} networks every input ends below.",
    "신경망 {networks}개 모두에서 모든 입력이 작은 쪽으로 갑니다.",
)
_ALL_ABOVE = Text(
    "In all {networks} networks every input ends above.",
    "신경망 {networks}개 모두에서 모든 입력이 큰 쪽으로 갑니다.",
)
_BELOW = Text("All inputs end below.", "모든 입력이 작은 쪽으로 갑니다.")
_ABOVE = Text("All inputs end above.", "모든 입력이 큰 쪽으로 갑니다.")
_SURVIVES = Text(
    "The gradient survives: in the first layer its norm is {gradient:.3g} times that in the last, and that "
    "of the weights {weights:.3g} times.",
    "그래디언트가 살아남습니다. 첫 층에서의 크기는 마지막 층의 {gradient:.3g}배이고, 가중치의 그래디언트는 "
    "{weights:.3g}배입니다.",
)
_SURVIVES_BLOCKS = Text(
    "The gradient survives: in the first block that of the weights is {weights:.3g} times as large as in the "
    "last, and that of the stream {gradient:.3g} times.",
    "그래디언트가 살아남습니다. 첫 블록에서 가중치의 그래디언트는 마지막 블록의 {weights:.3g}배이고, "
    "스트림의 그래디언트는 {gradient:.3g}배입니다.",
)
_SURVIVES_STEPS = Text(
    "The gradient survives: at the first step {size} is {gradient:.3g} times what it is at the last.",
    "그래디언트가 살아남습니다. 첫 시점에서 {size} 마지막 시점의 {gradient:.3g}배입니다.",
)
_USABLE = Text(
    "{Part}s that can learn, counted from the loss: {usable} of {depth}.",
    "손실 쪽에서 세어 학습할 수 있는 {part}은 {depth}개 중 {usable}개입니다.",
)
_USABLE_STEPS = Text(
    "Steps that can be learned from, counted from the loss: {usable} of {depth}.",
    "손실 쪽에서 세어 학습에 쓰이는 시점은 {depth}개 중 {usable}개입니다.",
)
_TOKENS_APART = Text(
    "The tokens' mean cosine is {cosine:.2g} in the end: at 1 they would be one.",
    "토큰 간 코사인 유사도의 평균은 마지막에 {cosine:.2g}입니다. 1이면 서로 구별되지 않습니다.",
)


def summary(experiment: Experiment, verdict: Verdict, theory: Theory | None) -> Text:
    """The whole verdict, in a few sentences."""
    network = experiment.network
    sentences = [sentence(each, verdict, network) for each in verdict.findings]
    sentences = sentences or list(_healthy(verdict, network))
    sentences += _reasons(experiment, verdict, theory)
    depth = len(verdict.figures.layers)
    if verdict.usable_depth < depth:
        template = _USABLE_STEPS if network.tied else _USABLE
        sentences.append(_filled(template, nouns(network), usable=verdict.usable_depth, depth=depth))
    return Text(*(" ".join(each) for each in zip(*sentences, strict=True)))


def nouns(network: Network) -> Nouns:
    """What the network is made of."""
    match network.block:
        case RecurrentBlock():
            return _CELL_STEP if network.block.cell == "lstm" else _STEP
        case TransformerBlock():
            return _TOKENS
        case ResidualBlock():
            return _BLOCK
    return _LAYER


def sentence(finding: Finding, verdict: Verdict, network: Network) -> Text:
    """One finding, as a sentence."""
    evidence, text = finding.evidence, partial(_filled, nouns=nouns(network), layer=finding.layer)
    match finding.state:
        case _ if BORDER in evidence:
            assert verdict.division is not None
            return _basins(verdict.division)
        case "vanishing" if DEPTH_OVER_WIDTH in evidence:
            return text(_NARROW, sum=evidence[DEPTH_OVER_WIDTH])
        case "vanishing":
            return text(_VANISHING, decades=-evidence["gradient_log10_ratio"])
        case "exploding":
            return _explosion(finding, text)
        case "saturated":
            return text(_SATURATED, percent=100 * evidence["saturated_fraction"])
        case "dying":
            return text(_DYING, percent=100 * evidence["dead_fraction"])
        case "collapsed":
            return text(_COLLAPSED)
        case "dead":
            figures = verdict.figures
            return text(_DEAD, dead=figures.dead, networks=figures.networks)


def _basins(division: Division) -> Text:
    """Both basins, and how many networks end in each."""
    lower, upper = _limit(division.lower), _limit(division.upper)
    counts = {"below": division.below, "above": division.above, "both": division.both}
    values = {
        "border": division.border,
        "percent": 100 * division.rising,
        "networks": sum(counts.values()),
        **counts,
    }
    if values["networks"] in (division.below, division.above):
        alone, all_of_them = (_BELOW, _ALL_BELOW) if division.below else (_ABOVE, _ALL_ABOVE)
        counted = all_of_them if values["networks"] > 1 else alone
    else:
        counted = _DIVIDED
    return Text(
        f"{_BASINS.en} {counted.en}".format(low=lower.en, high=upper.en, **values),
        f"{_BASINS.ko} {counted.ko}".format(low=f"{lower.ko}고", high=_polite(upper.ko), **values),
    )


def _limit(q_star: float) -> Text:
    """What signals that converge to this variance do; in Korean the stem of the verb."""
    if q_star == 0:
        return Text("die out", "사라지")
    if q_star == math.inf:
        return Text("grow without bound", "한없이 커지")
    return Text(f"settle at {q_star:.3g}", f"분산이 {q_star:.3g}에 가까워지")


def _polite(stem: str) -> str:
    """사라지 becomes 사라집니다: all the stems end in 지."""
    return f"{stem.removesuffix('지')}집니다"


def _explosion(finding: Finding, text: Callable[..., Text]) -> Text:
    evidence = finding.evidence
    if UNDEFINED_AT in evidence:
        return text(_UNDEFINED, x=evidence[UNDEFINED_AT])
    if finding.layer is not None:
        return text(_OVERFLOW)
    if "signal_log10_ratio" in evidence:
        return text(_GROWING, decades=evidence["signal_log10_ratio"])
    return text(_EXPLODING, decades=evidence["weight_gradient_log10_ratio"])


def _filled(template: Text, nouns: Nouns, **values: object) -> Text:
    capital = nouns.part._replace(en=nouns.part.en.capitalize())
    words = ({"part": nouns.part, "Part": capital, "inputs": nouns.inputs, "size": nouns.size}).items()
    return Text(
        template.en.format(**{name: each.en for name, each in words}, **values),
        template.ko.format(**{name: each.ko for name, each in words}, **values),
    )


def _healthy(verdict: Verdict, network: Network) -> Iterator[Text]:
    figures, own = verdict.figures, nouns(network)
    if len(figures.layers) == 1:
        yield _filled(
            Text(
                "The gradient reaches the one {part} there is.", "하나뿐인 {part}에 그래디언트가 도달합니다."
            ),
            own,
        )
        return
    gradient, weights = (10 ** float(each[0]) for each in (figures.gradients, figures.weight_gradients))
    sentences = _SURVIVES if own is _LAYER else _SURVIVES_STEPS if network.tied else _SURVIVES_BLOCKS
    yield _filled(sentences, own, gradient=gradient, weights=weights)
    cosine = float(figures.of("correlation")[-1])
    if own is _TOKENS and not math.isnan(cosine):
        yield _filled(_TOKENS_APART, own, cosine=cosine)


def _reasons(experiment: Experiment, verdict: Verdict, theory: Theory | None) -> Iterator[Text]:
    """Sentences about the cause, from the networks, the activation's properties and the theory."""
    figures, states, part = verdict.figures, _states(verdict), nouns(experiment.network).part
    if figures.dead > 0 and "dead" not in states:
        yield Text(
            f"No gradient at all reaches the first {part.en} in {figures.dead} of {figures.networks} "
            "networks.",
            f"신경망 {figures.networks}개 중 {figures.dead}개에서는 첫 {part.ko}에 그래디언트가 전혀 닿지 "
            "않습니다.",
        )
    if verdict.division is not None and _mentions_basins(verdict, verdict.division, theory):
        yield _basins(verdict.division)
    call = experiment.network.call
    entry = call.activation
    steepest = entry.number(entry.largest_slope, {**entry.defaults, **call.scalars})
    if "vanishing" in states and steepest < 1:
        yield Text(
            f"The activation's slope is at most {steepest:.3g}.",
            f"이 활성화 함수의 기울기는 최대 {steepest:.3g}입니다.",
        )
    # Tokens become equal by attention, not by the activation.
    owed = {"vanishing", "saturated"} if nouns(experiment.network) is _TOKENS else _UNCENTRED
    if states & owed and not entry.zero_centred:
        yield Text(
            "The activation's outputs are not centred on zero.", "활성화 함수의 출력 평균이 0이 아닙니다."
        )
    if theory is not None:
        yield from _criticality(experiment, verdict, theory)


def _mentions_basins(verdict: Verdict, division: Division, theory: Theory | None) -> bool:
    """Whether to mention the two basins: both can be reached, and no finding mentions them already."""
    if theory is None or any(BORDER in each.evidence for each in verdict.findings):
        return False
    first = float(theory.path.q[0])
    return bool(division.gap) or (first > 0 and 1 / _NEAR < division.border / first < _NEAR)


def _states(verdict: Verdict) -> set[State]:
    """States caused by the activation or the initialisation, not by narrow layers or two basins."""
    own = {DEPTH_OVER_WIDTH, BORDER}
    return {each.state for each in verdict.findings if not own & each.evidence.keys()}


def _criticality(experiment: Experiment, verdict: Verdict, theory: Theory) -> Iterator[Text]:
    """On which side of the edge of chaos the network is, where that is the cause."""
    sigmas, edge = shared_sigmas(experiment.network), theory.critical_sigma_w
    if sigmas is None or not abs(sigmas[0] / edge - 1) > _OFF:  # NaN: there is no edge
        return
    states, chi = _states(verdict), float(theory.point.chi_1)
    saturates = float(max(verdict.figures.of("saturated_fraction"), default=math.nan)) > _TOO_SATURATED
    saturates &= len(experiment.network.call.activation.saturates) > 1
    if states & {"vanishing", "collapsed"} and chi < 1 and sigmas[0] < edge and not saturates:
        side = Text("below", "작습니다")
    elif "exploding" in states and chi > 1 and sigmas[0] > edge:
        side = Text("above", "큽니다")
    else:
        return
    given = f"{sigmas[0]:.3g}"
    yield Text(
        f"σ_w = {given} lies {side.en} the critical {edge:.3g}.",
        with_particles(f"σ_w가 {given}(으)로, 임곗값 {edge:.3g}보다 {side.ko}."),
    )
