"""Mean-field theory against published figures, closed forms solved in mpmath, and its own laws."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import mpmath
import numpy as np
import pytest

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.errors import InvalidValue
from app.core.theory.critical import critical_sigma_w
from app.core.theory.duals import Dual, ElementwiseDual, MaximumDual, dual_of, gains
from app.core.theory.finite_width import finite_width
from app.core.theory.length_map import basins
from app.core.theory.mean_field import CRITICAL, MeanField, mean_field
from app.core.theory.trajectory import trajectory
from tests.core.activations.test_promise import example

ELEMENTWISE = [entry for entry in REGISTRY.values() if isinstance(entry, Elementwise)]
CONTINUOUS = [entry for entry in ELEMENTWISE if entry.smoothness >= 0]
assert CONTINUOUS
GRID = np.meshgrid(np.linspace(0.3, 3.0, 8), np.linspace(0.0, 1.5, 6))


def dual(name: str, **params: float) -> Dual:
    return dual_of(REGISTRY.resolve(name, params))


def cell(found: MeanField) -> dict[str, Any]:
    return {name: values.item() for name, values in vars(found).items()}


# The digits below were computed by composite Gauss–Legendre quadrature, independently of this code.


@pytest.mark.parametrize(
    ("name", "sigma_b", "sigma_w"),
    [
        ("tanh", 0.05, "1.1225390048"),
        ("tanh", 1.0, "1.8555891011"),
        ("elu", 0.2, "1.2292511241"),
        ("relu", 0.0, "1.4142135624"),
        ("relu", 0.7, "1.4142135624"),
        ("tanh", 0.0, "1.0000000000"),
    ],
)
def test_edge_of_chaos(name: str, sigma_b: float, sigma_w: str) -> None:
    assert f"{critical_sigma_w(dual(name), sigma_b).item():.10f}" == sigma_w


@pytest.mark.parametrize("slope", [0.01, 0.2, 1.0, -0.5])
def test_edge_of_chaos_of_leaky_relu(slope: float) -> None:
    critical = critical_sigma_w(dual("leaky_relu", negative_slope=slope), [0.0, 0.5])
    assert np.abs(critical - np.sqrt(2 / (1 + slope**2))).max() < 1e-12


def test_tanh_in_the_ordered_phase() -> None:
    found = cell(mean_field(dual("tanh"), 1.0, np.sqrt(0.05)))
    assert f"{found['chi_1']:.9f}" == "0.759031647"
    assert f"{found['xi_gradient']:.5f}" == "3.62698"
    assert (found["phase"], found["c_star"]) == ("ordered", 1.0)
    assert found["xi_c"] == pytest.approx(found["xi_gradient"], rel=1e-12)


def test_tanh_in_the_chaotic_phase() -> None:
    found = cell(mean_field(dual("tanh"), np.sqrt(2.5), np.sqrt(0.05)))
    assert f"{found['chi_1']:.9f}" == "1.133515699"
    assert found["phase"] == "chaotic"
    assert 0 < found["c_star"] < 1


def test_selu_holds_its_variance_while_its_gradient_grows() -> None:
    found = cell(mean_field(dual("selu"), 1.0, 0.0))
    assert found["q_star"] == pytest.approx(1.0, abs=1e-13)
    assert f"{found['chi_1']:.7f}" == "1.0715750"
    assert found["phase"] == "chaotic"


def test_gelu_is_half_stable_where_the_theory_says() -> None:
    """Roberts, Yaida and Hanin 2022 (arXiv:2106.10165): K* = (3 + √17)/2, where V′ = S."""
    half_stable = (3 + np.sqrt(17)) / 2
    moments = dual("gelu").moments(np.array([half_stable]))
    assert f"{1 / moments.slope.item():.10f}" == "1.9830582574"
    assert f"{(half_stable - moments.second / moments.slope).item():.10f}" == "0.1729223908"
    assert moments.second_rate.item() == pytest.approx(moments.slope.item(), rel=1e-12)


def test_gelu_without_bias_has_no_edge_of_chaos() -> None:
    """χ₁ = 1 lies on a fixed point that repels: signals fall to one with χ₁ < 1 or grow without bound."""
    assert np.isnan(critical_sigma_w(dual("gelu"), 0.0))


@pytest.mark.parametrize(
    ("name", "digits"), [("tanh", "1.5925374197"), ("relu", "1.7128585504"), ("gelu", "1.7009262434")]
)
def test_gain_of_the_standard_deviation(name: str, digits: str) -> None:
    assert f"{gains(elementwise(name), {}).standard:.10f}" == digits


@pytest.mark.parametrize(("name", "digits"), [("gelu", "1.5335304412"), ("silu", "1.6765324703")])
def test_gain_of_he(name: str, digits: str) -> None:
    assert f"{gains(elementwise(name), {}).he:.10f}" == digits


def elementwise(name: str) -> Elementwise:
    entry = REGISTRY[name]
    assert isinstance(entry, Elementwise)
    return entry


# erf, in closed form (Williams 1998): E φ(u₁)φ(u₂) = 2/π arcsin(2qc/(1 + 2q)).


def erf_covariance(q: Any, c: Any) -> Any:
    return 2 / mpmath.pi * mpmath.asin(2 * q * c / (1 + 2 * q))


def erf_slope(q: Any, c: Any) -> Any:
    """E φ′(u₁)φ′(u₂)."""
    return 4 / mpmath.pi / mpmath.sqrt((1 + 2 * q) ** 2 - (2 * q * c) ** 2)


def gap_of_erf(q: Any, weight: Any, bias: Any, guess: float) -> Any:
    """1 − c*, from the correlation map with its root c = 1 divided out."""
    return mpmath.findroot(
        lambda gap: (q - weight * erf_covariance(q, 1 - gap) - bias) / (q * gap) - 1, guess
    )


@pytest.mark.parametrize("sigma_b", [0.02, 0.4, 2.0])
@pytest.mark.parametrize("sigma_w", [0.1, 0.8, 1.0, 1.3, 2.5, 8.0])
def test_erf_against_its_closed_form(sigma_w: float, sigma_b: float) -> None:
    found = cell(mean_field(dual("erf"), sigma_w, sigma_b))
    with mpmath.workdps(30):
        weight, bias = mpmath.mpf(sigma_w) ** 2, mpmath.mpf(sigma_b) ** 2
        q = mpmath.findroot(lambda q: weight * erf_covariance(q, 1) + bias - q, found["q_star"])
        chi = weight * erf_slope(q, 1)
        c = mpmath.mpf(1)
        if chi > 1:
            c = 1 - gap_of_erf(q, weight, bias, 1 - found["c_star"])
        rate = weight * mpmath.diff(lambda q: erf_covariance(q, 1), q)
        exact = {
            "q_star": q,
            "c_star": c,
            "chi_1": chi,
            "xi_q": -1 / mpmath.log(rate),
            "xi_c": -1 / mpmath.log(weight * erf_slope(q, c)),
            "xi_gradient": 1 / abs(mpmath.log(chi)),
        }
    for name, value in exact.items():
        assert found[name] == pytest.approx(float(value), rel=2e-11), name
    assert found["phase"] == ("chaotic" if chi > 1 else "ordered")


def test_correlation_just_above_the_edge_of_chaos() -> None:
    """1 − c* is 4e-8 here: the correlation map is all but tangent to the diagonal."""
    edge = critical_sigma_w(dual("erf"), 0.3).item()
    sigma_w = edge * (1 + 1e-8)
    found = cell(mean_field(dual("erf"), sigma_w, 0.3))
    with mpmath.workdps(40):
        weight, bias = mpmath.mpf(sigma_w) ** 2, mpmath.mpf(0.3) ** 2
        q = mpmath.findroot(lambda q: weight * erf_covariance(q, 1) + bias - q, found["q_star"])
        gap = gap_of_erf(q, weight, bias, 1 - found["c_star"])
    assert 1 - found["c_star"] == pytest.approx(float(gap), abs=1e-11)


def test_step_decorrelates_though_its_slope_is_zero() -> None:
    """P(u₁, u₂ > 0) = 1/2 − θ/2π."""
    found = cell(mean_field(dual("step"), 1.0, 0.5))
    with mpmath.workdps(30):
        q = mpmath.mpf("0.75")
        angle = mpmath.findroot(
            lambda t: (0.75 - t / (2 * mpmath.pi)) / q - mpmath.cos(t), (0.1, 1), solver="anderson"
        )
        slope = 1 / (2 * mpmath.pi * q * mpmath.sin(angle))
    assert found["q_star"] == pytest.approx(0.75, rel=1e-13)
    assert found["c_star"] == pytest.approx(float(mpmath.cos(angle)), rel=1e-12)
    assert found["xi_c"] == pytest.approx(float(-1 / mpmath.log(slope)), rel=1e-11)
    assert (found["chi_1"], found["xi_q"]) == (0.0, 0.0)


# Where there is no finite fixed point.


def test_relu_at_off_and_beyond_he() -> None:
    found = mean_field(dual("relu"), np.sqrt([1.0, 2.0, 3.0])[:, None], [0.0, 0.5])
    assert found.q_star.tolist() == [
        [0.0, pytest.approx(0.5)],
        [pytest.approx(1.0), np.inf],
        [np.inf, np.inf],
    ]
    assert np.isnan(found.c_star).tolist() == [[False, False], [False, True], [True, True]]
    assert (found.c_star[:2, 0] == 1).all()
    assert np.abs(found.chi_1 - [[0.5, 0.5], [1.0, 1.0], [1.5, 1.5]]).max() < 1e-14
    assert found.phase[:, 0].tolist() == ["ordered", "critical", "chaotic"]
    assert np.isinf(found.xi_gradient[1]).all()
    assert np.isinf(found.xi_q[1, 0])
    assert np.isnan(found.xi_q[2]).all()


def test_tanh_without_bias_dies_out_up_to_the_edge() -> None:
    found = mean_field(dual("tanh"), [0.0, 0.5, 1.0, 1.0 + 1e-6], 0.0)
    assert found.q_star[:3].tolist() == [0.0, 0.0, 0.0]
    # E tanh² = q − 2q² + …, so q* is σ_w − 1 to first order.
    assert found.q_star[3] == pytest.approx(1e-6, rel=1e-5)
    assert found.phase[:3].tolist() == ["ordered", "ordered", "critical"]
    assert found.c_star[:3].tolist() == [1.0, 1.0, 1.0]
    assert np.isinf([found.xi_q[2], found.xi_c[2], found.xi_gradient[2]]).all()


def test_a_convex_activation_may_have_no_fixed_point() -> None:
    """e^x: V = e^2q. Of σ_w² e^2q = q the larger solution falls below q = 1 where σ_w² passes e^−2."""
    sigma_w = np.sqrt([0.99 * np.exp(-2), 1.01 * np.exp(-2), 0.2])
    found = mean_field(dual("exponential"), sigma_w, 0.0)
    assert np.isinf(found.q_star[1:]).all()
    assert np.isinf(found.chi_1[1:]).all()
    with mpmath.workdps(30):
        lower = -mpmath.lambertw(-2 * mpmath.mpf(sigma_w[0].item()) ** 2) / 2
    assert found.q_star[0] == pytest.approx(float(lower.real), rel=1e-11)


def test_a_map_that_only_touches_is_caught() -> None:
    """Tangent to the diagonal at q = 2 from above: iteration from 1 ends there, slower than exponentially."""
    moments = dual("gelu").moments(np.array([2.0]))
    weight = 1 / moments.second_rate.item()
    found = cell(mean_field(dual("gelu"), np.sqrt(weight), np.sqrt(2.0 - weight * moments.second.item())))
    assert found["q_star"] == pytest.approx(2.0, abs=1e-6)


def test_fast_oscillation() -> None:
    """sin ωx: E φ(u₁)φ(u₂) = e^(−ω²q) sinh(ω²qc)."""
    found = cell(mean_field(dual("sine", omega=6.0), 0.3, 0.1))
    with mpmath.workdps(30):
        weight, bias = mpmath.mpf(0.3) ** 2, mpmath.mpf(0.1) ** 2

        def covariance(q: Any, c: Any) -> Any:
            return mpmath.exp(-36 * q) * mpmath.sinh(36 * q * c)

        q = mpmath.findroot(lambda q: weight * covariance(q, 1) + bias - q, 0.05)
        c = mpmath.findroot(lambda c: (weight * covariance(q, c) + bias) / q - c, 0.4)
    assert found["q_star"] == pytest.approx(float(q), rel=1e-12)
    assert found["c_star"] == pytest.approx(float(c), rel=1e-11)


def test_sine_at_its_default_frequency() -> None:
    """ω²q* = 121.5, so that V = ½ and the outputs of two inputs are all but independent."""
    found = cell(mean_field(dual("sine"), 0.5, 0.1))
    assert found["q_star"] == pytest.approx(0.135, rel=1e-14)
    assert found["chi_1"] == pytest.approx(112.5, rel=1e-14)
    assert found["c_star"] == pytest.approx(0.01 / 0.135, rel=1e-14)
    assert found["xi_c"] == pytest.approx(1 / (121.5 - np.log(225 * np.cosh(9.0))), rel=1e-13)
    assert found["phase"] == "chaotic"


@pytest.mark.parametrize("omega", [0.0, -30.0, 1e3, 1e200])
def test_any_frequency_has_a_theory(omega: float) -> None:
    found = cell(mean_field(dual("sine", omega=omega), 2.0, 0.5))
    assert found["q_star"] == pytest.approx(2.25 if omega else 0.25, rel=1e-14)
    assert found["c_star"] == pytest.approx(0.25 / 2.25 if omega else 1.0, rel=1e-14)
    assert found["chi_1"] == pytest.approx(2 * omega * omega, rel=1e-14)


WAVES = [
    (entry.name, params)
    for entry, params in (
        (entry, {each.name: value for each in entry.parameters})
        for entry in ELEMENTWISE
        if entry.wave is not None
        for value in (0.7, 2.5)
    )
]
assert WAVES


@pytest.mark.parametrize(("name", "params"), WAVES)
def test_closed_forms_of_a_wave_are_its_integrals(name: str, params: dict[str, float]) -> None:
    closed, summed = dual(name, **params), ElementwiseDual(elementwise(name), params)
    q = np.array([0.02, 0.3, 0.9])
    for ours, theirs in zip(closed.moments(q), summed.moments(q), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-12)
    for angle in (0.4, 1.5, 3.0):
        for ours, theirs in zip(each_of(closed, q, angle), each_of(summed, q, angle), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-9)


def each_of(dual: Dual, q: np.ndarray, angle: float) -> tuple[np.ndarray, ...]:
    distance, angles = dual.distance(q), np.full(q.size, angle)
    return *distance(angles), distance.steepness(angles)


# Laws, over the registry.


def over(entries: list[Elementwise]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


@cache
def of(name: str) -> Dual:
    return dual_of(REGISTRY.resolve(name, example(elementwise(name))))


@cache
def diagram(name: str) -> MeanField:
    return mean_field(of(name), *GRID)


@over(ELEMENTWISE)
def test_fixed_points_are_fixed(entry: Elementwise) -> None:
    sigma_w, sigma_b = GRID
    found = diagram(entry.name)
    inner = np.isfinite(found.q_star) & (found.q_star > 0)
    assert inner.any()
    q = found.q_star[inner]
    image = sigma_w[inner] ** 2 * of(entry.name).moments(q).second + sigma_b[inner] ** 2
    assert np.abs(image / q - 1).max() < 1e-12


@over(CONTINUOUS)
def test_inputs_converge_in_the_ordered_phase_only(entry: Elementwise) -> None:
    found = diagram(entry.name)
    known = np.isfinite(found.c_star)
    assert ((found.c_star == 1) | (found.chi_1 > 1))[known].all()
    assert ((found.c_star < 1) | (found.chi_1 <= 1 + CRITICAL))[known].all()
    assert ((found.c_star >= -1e-12) & (found.c_star <= 1))[known].all()
    assert (found.phase == np.where(found.chi_1 < 1, "ordered", "chaotic"))[
        np.abs(found.chi_1 - 1) > CRITICAL
    ].all()


@over(CONTINUOUS)
def test_the_edge_of_chaos_is_where_chi_is_one(entry: Elementwise) -> None:
    sigma_b = np.array([0.0, 0.05, 0.5, 2.0])
    critical = critical_sigma_w(of(entry.name), sigma_b)
    known = np.isfinite(critical)
    found = mean_field(of(entry.name), critical[known], sigma_b[known])
    assert np.abs(found.chi_1 - 1).max(initial=0.0) < 1e-6


@pytest.mark.parametrize("name", ["tanh", "erf", "softsign", "arctan", "hard_tanh"])
def test_saturating_odd_activations_have_one_edge(name: str) -> None:
    """χ₁ grows with σ_w and falls with σ_b; below the edge order, above it chaos (Poole et al. 2016)."""
    chi = mean_field(dual(name), *GRID).chi_1
    assert (np.diff(chi, axis=1) > 0).all()
    assert (np.diff(chi, axis=0) < 0)[:, 4:].all()
    edges = critical_sigma_w(dual(name), np.linspace(0, 2, 9))
    assert (np.diff(edges) > 0).all()
    beside = mean_field(dual(name), edges * [[1 - 1e-6], [1 + 1e-6]], np.linspace(0, 2, 9))
    assert (beside.chi_1[0] < 1).all()
    assert (beside.chi_1[1] > 1).all()


def test_shapes_broadcast() -> None:
    found = mean_field(dual("tanh"), [[1.0, 1.5, 2.0]], [[0.0], [0.5]])
    assert {values.shape for values in vars(found).values()} == {(2, 3)}
    assert critical_sigma_w(dual("tanh"), [[0.0], [0.5]]).shape == (2, 1)
    assert mean_field(dual("tanh"), np.ones((0, 3)), 0.1).q_star.shape == (0, 3)
    one = mean_field(dual("tanh"), 1.5, 0.5)
    assert one.q_star == pytest.approx(found.q_star[1, 1], rel=1e-14)


@pytest.mark.parametrize(
    ("sigma_w", "sigma_b", "place"),
    [
        (-1.0, 0.1, "sigma_w"),
        (np.nan, 0.1, "sigma_w"),
        (1.0, np.inf, "sigma_b"),
        ([1.0] * 2, [1.0] * 3, "sigma_w"),
    ],
)
def test_bad_deviations_are_named(sigma_w: Any, sigma_b: Any, place: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        mean_field(dual("tanh"), sigma_w, sigma_b)
    assert refusal.value.loc == (place,)


@pytest.mark.parametrize("name", ["softmax", "glu", "swiglu"])
def test_what_mixes_elements_otherwise_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        dual_of(REGISTRY.resolve(name))


def test_a_parameter_for_each_channel_is_refused() -> None:
    with pytest.raises(InvalidValue) as refusal:
        dual_of(REGISTRY.resolve("prelu", {"weight": np.array([0.1, 0.2])}))
    assert refusal.value.loc == ("params", "weight")


# The maximum of k pieces.

ROOT_3, ROOT_PI = float(mpmath.sqrt(3)), float(mpmath.sqrt(mpmath.pi))
SECOND = {1: 1.0, 2: 1.0, 3: 1 + ROOT_3 / (2 * np.pi), 4: 1 + ROOT_3 / np.pi}
FIRST = {1: 0.0, 2: 1 / ROOT_PI, 3: 1.5 / ROOT_PI, 4: 6 * np.arctan(np.sqrt(2)) / (np.pi * ROOT_PI)}
"""E max² and E max of k standard normals (David and Nagaraja, Order Statistics)."""


@pytest.mark.parametrize("pieces", [1, 2, 3, 4])
def test_maximum_of_pieces(pieces: int) -> None:
    maximum = MaximumDual(pieces)
    q = np.array([0.5, 3.0])
    second, first = SECOND[pieces], FIRST[pieces]
    assert maximum.moments(q).second == pytest.approx(q * second, rel=1e-13)
    uncorrelated, _ = maximum.distance(q)(np.full(2, np.pi / 2))
    assert uncorrelated / 2 == pytest.approx(q * (second - first**2), rel=1e-12)


def test_maximum_of_two_pieces_against_the_closed_form() -> None:
    """max = (a + b)/2 + |a − b|/2, and E|X||Y| is the arc-sine form of the arc-cosine kernel."""
    angles = np.array([0.01, 0.5, 1.3, 2.0, 3.0])
    got, _ = MaximumDual(2).distance(np.ones(5))(angles)
    c = np.cos(angles)
    exact = 1 - (c / 2 + (np.sin(angles) + c * (np.pi / 2 - angles)) / np.pi)
    assert got * np.sin(angles / 2) ** 2 == pytest.approx(exact, rel=1e-11)


def test_maxout_gradients_grow_by_the_weights_alone() -> None:
    found = mean_field(dual("maxout", pieces=3), [0.5, 0.8, 1.2], 0.3)
    assert found.chi_1 == pytest.approx([0.25, 0.64, 1.44], rel=1e-14)
    assert found.q_star[:2] == pytest.approx(0.09 / (1 - np.array([0.25, 0.64]) * SECOND[3]), rel=1e-12)
    assert found.q_star[2] == np.inf
    assert found.c_star[:2].tolist() == [1.0, 1.0]
    assert critical_sigma_w(dual("maxout"), 0.0).item() == pytest.approx(1.0, abs=1e-12)


# Layer by layer.


def test_trajectory_of_erf_against_its_closed_form() -> None:
    path = trajectory(dual("erf"), 1.4, 0.2, 40, variance=2.0, correlation=-0.3)
    assert path.c is not None
    with mpmath.workdps(30):
        weight, bias = mpmath.mpf(1.4) ** 2, mpmath.mpf(0.2) ** 2
        q, r = weight * 2 + bias, weight * 2 * mpmath.mpf(-0.3) + bias
        for layer in range(40):
            assert path.q[layer] == pytest.approx(float(q), rel=1e-12)
            assert path.c[layer] == pytest.approx(float(r / q), abs=1e-11)
            assert path.chi[layer] == pytest.approx(float(weight * erf_slope(q, 1)), rel=1e-12)
            q, r = weight * erf_covariance(q, 1) + bias, weight * erf_covariance(q, r / q) + bias


def test_relu_keeps_its_gradient_with_he_and_halves_it_with_xavier() -> None:
    he = trajectory(dual("relu"), np.sqrt(2), 0.0, 100, variance=1.0)
    assert he.q == pytest.approx(2.0, rel=1e-12)
    assert he.log10_gradient_ratio == pytest.approx(0.0, abs=1e-12)
    xavier = trajectory(dual("relu"), 1.0, 0.0, 100, variance=1.0)
    assert xavier.log10_gradient_ratio == pytest.approx(99 * np.log10(0.5) / 2, rel=1e-12)


def test_a_trajectory_may_leave_the_range_of_doubles() -> None:
    dying = trajectory(dual("relu"), 1.0, 0.0, 1200, variance=1.0)
    assert dying.q[-1] == 0
    assert dying.log10_gradient_ratio == pytest.approx(1199 * np.log10(0.5) / 2, rel=1e-10)
    growing = trajectory(dual("relu"), 2.0, 0.0, 1200, variance=1.0)
    assert growing.q[-1] == np.inf
    assert growing.log10_gradient_ratio == pytest.approx(1199 * np.log10(2.0) / 2, rel=1e-10)


def test_trajectories_end_at_the_fixed_points() -> None:
    for name, sigma_w in (("tanh", 1.1), ("tanh", 1.8), ("elu", 0.9)):
        path, found = (
            trajectory(dual(name), sigma_w, 0.4, 2000, 1.0, 0.1),
            mean_field(dual(name), sigma_w, 0.4),
        )
        assert path.c is not None
        assert path.q[-1] == pytest.approx(found.q_star.item(), rel=1e-12)
        assert path.c[-1] == pytest.approx(found.c_star.item(), rel=1e-11)


def test_depth_scales_are_the_rates_of_the_trajectory() -> None:
    path, found = trajectory(dual("tanh"), 1.8, 0.4, 60, 1.0, 0.1), cell(mean_field(dual("tanh"), 1.8, 0.4))
    assert path.c is not None
    gaps = np.abs(path.c[30:40] - found["c_star"])
    for near, far in pairwise(gaps):
        assert far / near == pytest.approx(np.exp(-1 / found["xi_c"]), rel=1e-2)


@pytest.mark.parametrize(("variance", "correlation"), [(-1.0, 0.0), (np.inf, 0.0), (1.0, 1.5), (1.0, np.nan)])
def test_bad_inputs_of_a_trajectory_are_refused(variance: float, correlation: float) -> None:
    with pytest.raises(InvalidValue):
        trajectory(dual("tanh"), 1.0, 0.1, 5, variance, correlation)


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu", "selu", "softplus"])
@pytest.mark.parametrize("variance", [5e-324, 1e-323, 1e-310, 1e-306, 1e300])
def test_variances_at_the_ends_of_the_range(name: str, variance: float) -> None:
    """Variances beyond the integrals' range have the limit, or the values at the edge of that range."""
    point = mean_field(dual(name), 1.0, 0.0, variance)
    assert np.isfinite(point.chi_1).all()
    assert basins(dual(name), 1.0, 0.0, variance)[0].low == 0
    spread = finite_width([REGISTRY.resolve(name)] * 3, [8] * 3, [variance] * 3, 0.0)
    assert spread is not None
    assert np.isfinite(spread.low)
