"""Labels and captions of pictures: the function as it was requested, a short description of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from app.contract.gradient_flow import DistributionFields, GradientFlowRequest, Law, Sigmas
from app.contract.training import TrainingRequest
from app.core.activations import REGISTRY
from app.core.activations.definition import Text
from app.pictures.specifications import Language
from app.wire.spelling import spell

LONGEST = 6
"""Layer sizes that are listed; of longer lists, the first ones and the last."""

_DEEP = Text("depth {depth}, width {width}", "깊이 {depth}, 너비 {width}")
_OWN_WEIGHTS = Text("given weights", "주어진 가중치")
_OWN_DATA = Text("own data", "주어진 데이터")
_BATCH = Text("batches of {batch}", "배치 크기 {batch}")
_RESIDUAL = Text("residual × {scale:g}", "잔차 연결 × {scale:g}")


def label(name: str, params: Mapping[str, Any]) -> str:
    """The function as it was requested, without parameters at their defaults."""
    defaults = REGISTRY[name].defaults if name in REGISTRY else {}
    plain = {key: float(value) if _is_number(value) else value for key, value in params.items()}
    return spell(name, {key: value for key, value in plain.items() if not _same(value, defaults.get(key))})


def caption(body: GradientFlowRequest, answer: Mapping[str, Any], lang: Language) -> str:
    """The network: activation, layers, initialisation, normalisation and residual branches.

    ``body`` says its initialisation or has weights.
    """
    parts = [_activations(body), _shape(answer["layers"], lang), _weights(body, lang)]
    if body.normalization is not None:
        parts.append(body.normalization)
    if body.residual is not None:
        parts.append(_say(_RESIDUAL, lang).format(scale=body.residual.scale))
    return " · ".join(parts)


def _activations(body: GradientFlowRequest) -> str:
    """The activation, or each different one of the list."""
    if isinstance(body.activation, str):
        return label(body.activation, body.params)
    listed = (
        label(each, {}) if isinstance(each, str) else label(each.activation, each.params)
        for each in body.activation
    )
    return ", ".join(dict.fromkeys(listed))


def training_caption(body: TrainingRequest, networks: Iterable[Mapping[str, Any]], lang: Language) -> str:
    """The training: data, sizes of the first network, initialisation, optimiser."""
    sizes = next(iter(networks))["sizes"]
    shown = sizes if len(sizes) <= LONGEST else [*sizes[: LONGEST - 2], "…", sizes[-1]]
    own = body.data.inputs is not None
    data = _say(_OWN_DATA, lang) if own else body.data.kind or "rings"
    rule = f"{body.optimizer.kind} {body.optimizer.learning_rate:g}"
    batch = [] if body.optimizer.batch is None else [_say(_BATCH, lang).format(batch=body.optimizer.batch)]
    return " · ".join([data, "–".join(map(str, shown)), _start(body, lang), rule, *batch])


def _start(body: TrainingRequest, lang: Language) -> str:
    if body.weights is not None:
        return _say(_OWN_WEIGHTS, lang)
    if isinstance(body.init, Sigmas):
        return f"σ_w = {body.init.sigma_w:g}, σ_b = {body.init.sigma_b:g}"
    return body.init


def distinct(captions: Iterable[str]) -> list[str]:
    """The captions, with a number after repeated ones: the networks differ in something not shown there."""
    seen: Counter[str] = Counter()
    numbered = []
    for each in captions:
        seen[each] += 1
        numbered.append(each if seen[each] == 1 else f"{each} ({seen[each]})")
    return numbered


def _shape(layers: list[Mapping[str, Any]], lang: Language) -> str:
    sizes = [layers[0]["fan_in"], *(each["fan_out"] for each in layers)]
    if len(set(sizes[1:])) == 1:
        return _say(_DEEP, lang).format(depth=len(layers), width=sizes[1])
    shown = sizes if len(sizes) <= LONGEST else [*sizes[: LONGEST - 2], "…", sizes[-1]]
    return "–".join(map(str, shown))


def _weights(body: GradientFlowRequest, lang: Language) -> str:
    if body.weights is not None:
        return _say(_OWN_WEIGHTS, lang)
    assert body.init is not None
    listed = body.init if isinstance(body.init, list) else [body.init]
    return ", ".join(dict.fromkeys(_law(each, body.sigma_b) for each in listed))


def _law(law: Law, sigma_b: float) -> str:
    if isinstance(law, Sigmas):
        return f"σ_w = {law.sigma_w:g}, σ_b = {law.sigma_b:g}"
    if isinstance(law, DistributionFields):
        return f"{law.distribution} × {law.gain:g}"
    return f"{law}, σ_b = {sigma_b:g}" if sigma_b and law == "critical" else law


def _is_number(value: Any) -> bool:
    return not isinstance(value, str | bool) and np.ndim(value) == 0


def _same(value: Any, default: float | None) -> bool:
    return isinstance(value, float) and value == default


def _say(text: Text, lang: Language) -> str:
    return text.ko if lang == "ko" else text.en
