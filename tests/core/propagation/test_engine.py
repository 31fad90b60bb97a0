"""Which engine each layer uses, what it costs, and how much of the tape is kept."""

from __future__ import annotations

import math

import pytest

from app.core.activations import REGISTRY
from app.core.propagation.engine import Kind, cost, deferrable, engines, segment_length
from app.core.propagation.initialisers import INITIALISERS
from app.core.propagation.network import Network


def network(sizes: tuple[int, ...], init: str = "xavier_normal") -> Network:
    return Network(sizes=sizes, call=REGISTRY.resolve("tanh"), weights=INITIALISERS[init])


def test_auto_makes_small_weights_and_defers_large_ones() -> None:
    net = network((64, 16, 4096, 4096, 10))
    assert engines(net, 32, "auto") == ("dense", "dense", "deferred", "dense")
    assert engines(net, 32, "deferred") == ("deferred",) * 4
    assert engines(net, 32, "dense") == ("dense",) * 4


@pytest.mark.parametrize("init", [name for name, each in INITIALISERS.items() if "normal" not in name])
def test_auto_defers_only_what_stays_exact(init: str) -> None:
    net = network((784, 2048, 2048, 10), init)
    expected = ("dense", "deferred", "dense") if init == "orthogonal" else ("dense",) * 3
    assert engines(net, 32, "auto") == expected


def test_orthogonal_weights_need_twice_as_many_units_as_inputs() -> None:
    net = network((512, 512), "orthogonal")
    assert deferrable(net.weights, net.layers[0], 256)
    assert not deferrable(net.weights, net.layers[0], 257)


@pytest.mark.parametrize(("width", "batch"), [(256, 8), (4096, 32), (65_536, 32)])
def test_deferred_work_grows_with_the_width_and_dense_work_with_its_square(width: int, batch: int) -> None:
    def ratio(kind: Kind) -> float:
        works = [
            cost(network((size,) * 11), batch, (kind,) * 10, 4, math.inf).work for size in (width, 4 * width)
        ]
        return works[1] / works[0]

    assert ratio("deferred") < 4.01
    assert 4 < ratio("dense") <= 16
    assert width < 4096 or ratio("dense") > 15


def test_the_whole_tape_is_kept_where_it_fits_and_stretches_of_it_where_not() -> None:
    net = network((1024,) * 101)
    kinds: tuple[Kind, ...] = ("deferred",) * 100
    whole = cost(net, 32, kinds, 4, math.inf)
    assert segment_length(net, 32, kinds, 4, math.inf) == 100
    # h, Y and φ′ of 100 layers, in float32.
    assert whole.bytes == pytest.approx(100 * 3 * 1024 * 32 * 4, rel=0.1)
    frugal = cost(net, 32, kinds, 4, 0.0)
    # Between stretches one array is kept, within one three: best is √(100/3) layers a stretch.
    assert segment_length(net, 32, kinds, 4, 0.0) in (5, 6)
    assert frugal.bytes < 0.2 * whole.bytes
    assert frugal.work == pytest.approx(1.5 * whole.work)


def test_a_million_units_fit_a_few_gigabytes() -> None:
    net = network((10**6,) * 101)
    assert cost(net, 32, engines(net, 32, "auto"), 4, 2**31).bytes < 8 * 2**30


def test_costs_of_absurd_networks_are_counted_not_computed() -> None:
    net = network((10**12,) * 3)
    for batch in (32, 10**12):  # the second beyond NumPy's integers
        assert cost(net, batch, engines(net, batch, "auto"), 4, 2**31).bytes > 10**12 * batch
