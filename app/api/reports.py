"""Converts a report to the answer of ``POST /gradient-flow``."""

from __future__ import annotations

import math
from typing import Any

from app.contract.gradient_flow import GradientFlowRequest
from app.core.activations.from_formula import Accuracy
from app.core.diagnosis.report import Report
from app.core.diagnosis.theory import Theory
from app.core.propagation.given import GivenWeights
from app.core.propagation.network import Network
from app.core.propagation.statistics import Spread
from app.core.propagation.transformer_block import TransformerBlock
from app.wire.nested import name_of


def answer(body: GradientFlowRequest, network: Network, report: Report) -> dict[str, Any]:
    """The fields of `GradientFlowResponse`, as JSON values."""
    kinds = set(report.kinds)
    return {
        "engine": kinds.pop() if len(kinds) == 1 else "mixed",
        "seed": body.seed,
        "networks": report.networks,
        "networks_dead": report.verdict.figures.dead,
        "dtype": body.dtype,
        "layers": [
            {
                "layer": number + 1,
                "fan_in": layer.fan_in,
                "fan_out": layer.units,
                **{name: _spread(values, number) for name, values in report.layers.items()},
                **({"matrices": _matrices(network, report, number)} if network.block else {}),
            }
            for number, layer in enumerate(network.layers)
        ],
        "gradient": gradient(report),
        "theory": None if report.theory is None else _theory(report.theory),
        "verdict": verdict(report),
        "remedies": [
            {"change": each.change, "log10_ratio": number(each.log10_ratio), "state": each.state}
            for each in report.remedies
        ],
        **({} if report.accuracy is None else {"formula": accuracy_fields(report.accuracy)}),
        **_memory(network),
        **_origin(network),
    }


def _memory(network: Network) -> dict[str, str]:
    """What a second attention looks at."""
    block = network.block
    if not (isinstance(block, TransformerBlock) and block.cross_attention):
        return {}
    return {"memory": "inputs" if block.memory is None else "given"}


def _origin(network: Network) -> dict[str, Any]:
    """Which tensors of a state dict were used for blocks, and which were left out."""
    if not isinstance(network.weights, GivenWeights) or network.weights.origin is None:
        return {}
    module, taken, left_out = network.weights.origin
    blocks = 1 if network.tied else network.depth
    tensors = [each._asdict() for each in taken]
    return {"weights": {"module": module, "blocks": blocks, "tensors": tensors, "left_out": left_out}}


def _matrices(network: Network, report: Report, number: int) -> list[dict[str, Any]]:
    """The matrices of a block."""
    return [
        {
            "name": name,
            "rows": matrix.shape[0],
            "columns": matrix.shape[1],
            "weight_gradient_log10_norm": _spread(report.matrices[name], number),
        }
        for matrix in network.matrices
        for name in matrix.names
    ]


def accuracy_fields(accuracy: Accuracy) -> dict[str, Any]:
    """The fields of `AccuracyFields`."""
    return {
        "low": accuracy.low,
        "high": accuracy.high,
        "points": accuracy.points,
        "largest_error": accuracy.error,
        "largest_relative_error": number(accuracy.relative_error),
    }


def gradient(report: Report) -> dict[str, Any]:
    """The fields of `GradientFields`."""
    return {
        "log10_ratio": _spread(report.log10_ratio),
        "factor_per_layer": _spread(report.factor_per_layer),
        "underflow": report.underflow,
        "mixed_precision": {
            name: {
                "overflow": each.overflow,
                "smallest_loss_scale": each.smallest_scale,
                "largest_loss_scale": each.largest_scale,
            }
            for name, each in report.mixed_precision.items()
        },
    }


def verdict(report: Report) -> dict[str, Any]:
    """The fields of `VerdictFields`."""
    return {
        "state": report.verdict.state,
        "layer": report.verdict.layer,
        "usable_depth": report.verdict.usable_depth,
        "summary": report.summary._asdict(),
        "findings": [
            {
                "state": each.state,
                "layer": each.layer,
                "evidence": {name: number(value) for name, value in each.evidence.items()},
                "summary": words._asdict(),
            }
            for each, words in zip(report.verdict.findings, report.sentences, strict=True)
        ],
    }


def _theory(theory: Theory) -> dict[str, Any]:
    names = ("q_star", "c_star", "chi_1", "xi_q", "xi_c", "xi_gradient")
    columns = {"q": theory.path.q, "chi": theory.path.chi, "gradient_log10_rms": theory.gradient_log10_rms}
    rows = zip(*(map(number, each.tolist()) for each in columns.values()), strict=True)
    return {
        **{name: number(getattr(theory.point, name)) for name in names},
        "predicted_log10_ratio": number(theory.predicted_log10_ratio),
        "critical_sigma_w": number(theory.critical_sigma_w),
        "finite_width": None
        if theory.finite_width is None
        else {name: number(value) for name, value in vars(theory.finite_width).items()},
        "basins": [{name: number(value) for name, value in vars(each).items()} for each in theory.basins],
        "layers": [dict(zip(columns, row, strict=True)) for row in rows],
    }


def _spread(values: Spread, place: int | tuple[()] = ()) -> dict[str, float | str | None]:
    return {name: number(each[place]) for name, each in values._asdict().items()}


def number(value: Any) -> float | str | None:
    """A number in JSON: null for NaN, which means undefined; strings for infinities."""
    figure = float(value)
    if math.isnan(figure):
        return None
    return figure if math.isfinite(figure) else name_of(figure)
