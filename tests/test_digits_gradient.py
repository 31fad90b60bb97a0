"""Gradients on real input: scikit-learn's handwritten digits through deep networks, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from app.client import Client, gradient_flow
from tests.conftest import Server
from tests.test_readme import NETWORKS

ACTIVATIONS = ("sigmoid", "tanh", "relu", "elu", "maxout")
INITIALISERS = ("xavier_normal", "he_normal")
SIZES = [64, *[256] * 30, 10]


@pytest.fixture(scope="module")
def digits() -> NDArray[np.float64]:
    """64 images of 64 pixels, scaled as docs/networks.md says."""
    pixels = load_digits().data
    return np.asarray((pixels[:64] - pixels.mean()) / pixels.std())


@pytest.fixture(scope="module")
def lab(server: Server) -> Iterator[Client]:
    with Client(server.url) as connected:
        yield connected


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_table_is_what_the_service_answers(
    lab: Client, digits: NDArray[np.float64], activation: str
) -> None:
    cells = [activation]
    for init in INITIALISERS:
        report = lab.send(gradient_flow(activation, inputs=digits, width=SIZES, init=init))
        assert report.seed == 0
        assert report.networks == 8
        assert report.gradient.log10_ratio.median is not None
        decades = f"{float(report.gradient.log10_ratio.median):.1f}".replace("-", "−")
        cells += [f"10^{decades}", str(report.verdict.usable_depth), report.verdict.state]
    assert f"| {' | '.join(cells)} |" in NETWORKS


def test_the_table_has_no_other_rows() -> None:
    header = f"| activation | `{INITIALISERS[0]}` | | | `{INITIALISERS[1]}` | | |\n"
    table = NETWORKS.partition(header)[2].partition("\n\n")[0].splitlines()[1:]
    assert [row.split()[1] for row in table] == list(ACTIVATIONS)
