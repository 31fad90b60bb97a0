"""Twenty activations of the literature that are not in the catalogue, as their papers write them.

``python -m tests.support.literature`` prints the table of docs/formulas.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from app.core.activations import REGISTRY
from app.core.card import card
from app.core.diagnosis.experiment import Experiment
from app.core.diagnosis.report import Report, diagnose
from app.core.evaluation import FLOAT64
from app.core.propagation.initialisers import initialiser
from app.core.propagation.network import GaussianInputs, Network


class Published(NamedTuple):
    """A function's name, its formula, the parameters it is evaluated with, and its source."""

    name: str
    formula: str
    source: str
    params: Mapping[str, float] = MappingProxyType({})


_SURVEY = "Kunc, Kléma 2024, arXiv:2402.09092"
_PAU = (
    "(0.0335583603 + 0.505000375 * x + 1.65343934 * x**2 + 2.01001052 * x**3 + 0.931901999 * x**4"
    " + 0.152424124 * x**5)"
    " / (1 + abs(3.30847488e-6 * x + 3.98021568 * x**2 + 5.12471206e-7 * x**3 + 0.301830109 * x**4))"
)

PUBLISHED = (
    Published("Serf", "x * erf(log(1 + exp(x)))", "Nag, Bhattacharyya 2021, arXiv:2108.09598"),
    Published("TanhExp", "x * tanh(exp(x))", "Liu, Di 2020, arXiv:2003.09855"),
    Published(
        "ELiSH",
        "x / (1 + exp(-x)) if x >= 0 else (exp(x) - 1) / (1 + exp(-x))",
        "Basirat, Roth 2018, arXiv:1808.00783",
    ),
    Published(
        "HardELiSH",
        "x * max(0, min(1, (x + 1) / 2)) if x >= 0 else (exp(x) - 1) * max(0, min(1, (x + 1) / 2))",
        "Basirat, Roth 2018, arXiv:1808.00783",
    ),
    Published("GCU", "x * cos(x)", "Noel et al. 2021, arXiv:2108.12943"),
    Published("Phish", "x * tanh(gelu(x))", "Naveen 2022, doi:10.36227/techrxiv.17283824"),
    Published("Logish", "x * log(1 + sigmoid(x))", "Zhu et al. 2021, doi:10.1016/j.neucom.2021.06.067"),
    Published(
        "SMU",
        "((1 + alpha) * x + (1 - alpha) * x * erf(mu * (1 - alpha) * x)) / 2",
        "Biswas et al. 2021, arXiv:2111.04682",
        {"alpha": 0.25, "mu": 1.0},
    ),
    Published(
        "PFLU", "x * (1 + x / sqrt(1 + x**2)) / 2", "Zhu et al. 2021, doi:10.1016/j.neucom.2020.11.068"
    ),
    Published("E-swish", "beta * x * sigmoid(x)", "Alcaide 2018, arXiv:1801.07145", {"beta": 1.5}),
    Published(
        "SoftModulusQ",
        "x**2 * (2 - abs(x)) if abs(x) <= 1 else abs(x)",
        "Vallés-Pérez et al. 2023, arXiv:2301.05993",
    ),
    Published("Bent identity", "(sqrt(x**2 + 1) - 1) / 2 + x", _SURVEY),
    Published(
        "SQNL",
        "1 if x > 2 else x - x**2 / 4 if x >= 0 else x + x**2 / 4 if x >= -2 else -1",
        "Wuraola, Patel 2018, doi:10.1109/IJCNN.2018.8489043",
    ),
    Published(
        "PAU 5/4", _PAU, "Molina et al. 2019, arXiv:1907.06732; start for leaky ReLU in ml-research/pau"
    ),
    Published(
        "ErfReLU", "x if x >= 0 else a * erf(x)", "Rajanand, Singh 2023, arXiv:2306.01822", {"a": 0.25}
    ),
    Published("Gish", "x * log(2 - exp(-exp(x)))", "Kaytan et al. 2023, doi:10.1007/s00521-023-09035-5"),
    Published(
        "SinLU",
        "(x + a * sin(b * x)) * sigmoid(x)",
        "Paul et al. 2022, doi:10.3390/math10030337",
        {"a": 1.0, "b": 1.0},
    ),
    Published("Rootsig", "a * x / (1 + sqrt(1 + a**2 * x**2))", _SURVEY, {"a": 1.0}),
    Published("LogLogish", "x * (1 - exp(-exp(x)))", _SURVEY),
    Published("ExpExpish", "x * exp(-exp(-x))", _SURVEY),
)


def flow(published: Published) -> Report:
    """Fifty layers of 128 units, He's normal weights, four networks."""
    call = REGISTRY.resolve(f"formula:{published.formula}", published.params)
    network = Network(
        sizes=(128,) * 51, call=call, weights=initialiser("he_normal"), normalisation=None, residual=None
    )
    inputs = GaussianInputs(32, 1.0, 0.0)
    experiment = Experiment(network=network, inputs=inputs, networks=4, seed=0, dtype=FLOAT64, engine="auto")
    return diagnose(experiment, remedies=False)


def row(published: Published) -> str:
    """A line of the table."""
    call = REGISTRY.resolve(f"formula:{published.formula}", published.params)
    facts = card(call.activation, ())  # type: ignore[arg-type]
    report = flow(published)
    given = ", ".join(f"{name} = {value:g}" for name, value in published.params.items())
    gain = "–" if facts.gains is None else f"{facts.gains.he:.4f}"
    limits = " / ".join("–" if end is None else f"{end:g}" for end in facts.limits)
    ratio = float(report.log10_ratio.median)
    figure = "–" if math.isnan(ratio) else f"{ratio:+.1f}"
    formula = f"`{published.formula}`".replace("|", r"\|")
    columns = (
        f"{published.name}{f' ({given})' if given else ''}",
        formula,
        limits,
        gain,
        figure,
        report.verdict.state,
        published.source,
    )
    return f"| {' | '.join(columns)} |"


if __name__ == "__main__":
    for each in PUBLISHED:
        print(row(each), flush=True)
