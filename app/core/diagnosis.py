"""From an experiment to a report: does the gradient survive, why not, and what would help.

    report = diagnose(experiment)    simulate → spreads → theory beside them → verdict → simulated remedies

Every figure of the verdict is a median over the experiment's networks. The heavy parts are jobs
(`Simulation`, `Prediction`, `Remedies`), so that whoever runs the diagnosis decides where they are done.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise, Text
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.formats import FORMATS, log10_of_zero
from app.core.errors import InvalidValue
from app.core.evaluation import FLOAT64, Mapper
from app.core.jobs import Job, Progress, Result, Runner, ignore, in_turn
from app.core.kernels import Unit, gains, unit_of
from app.core.mean_field import MeanField, Trajectory, critical_sigma_w, mean_field, trajectory
from app.core.propagation.engine import Cost, Engine, Kind, cost, engines
from app.core.propagation.initialisers import Initialiser, gaussian, initialiser
from app.core.propagation.network import GaussianInputs, Layer, Network
from app.core.propagation.normalisation import NORMALISATIONS
from app.core.propagation.simulation import TAPE, Inputs, propagate
from app.core.propagation.statistics import Figures, Spread, spread, summarise

State: TypeAlias = Literal["vanishing", "healthy", "exploding", "saturated", "dying"]
Stage: TypeAlias = Literal["networks", "remedies"]


class Watch(Protocol):
    """Told of a diagnosis under way; what it raises ends the diagnosis."""

    def __call__(self, stage: Stage, part: float, networks: Sequence[Figures]) -> None:
        """``part`` of the stage is done, 0 to 1; ``networks`` are those simulated so far."""


def unwatched(stage: Stage, part: float, networks: Sequence[Figures]) -> None:
    """A diagnosis that nobody watches."""


DECADE = 1.0
"""|log10_ratio| up to this is healthy: one learning rate serves layers whose gradients differ tenfold."""

DYING = 0.9
"""A layer dies when more of its units than this are dead for the whole batch: the rest is a bottleneck."""

SATURATED = {0: 2.0, 1: 0.9, 2: 0.5}
"""Share of saturated pairs of unit and input beyond which a layer is saturated, by the number of sides on
which the activation saturates. On two sides: more than half of the signal is flat. On one side half of it is
by design (symmetric pre-activations), so that only nearly all counts. Without such a side nothing does."""

BETTER = 0.5
"""A remedy that does not heal has to shrink |log10_ratio| to this share at least."""

REMEDIES = 3
"""Most remedies shown."""

REMEDY_NETWORKS = 2
"""Networks that a remedy is tried on."""

REMEDY_WORK = 1e11
"""Operations of one network beyond which no remedies are tried: two seconds of a core."""

TRAINED_IN = ("float32", "bfloat16", "float16")
"""Formats that networks are trained in."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Networks to simulate: what one is, its inputs, how many, and how.

    ``upstream`` is dL/d(outputs), units × batch; None draws a standard normal array for each network.
    Raises `InvalidValue` where it does not fit.
    """

    network: Network
    inputs: Inputs
    upstream: Array | None = None
    networks: int = 1
    seed: int = 0
    dtype: np.dtype[Any] = FLOAT64
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        if self.upstream is not None:
            _check_upstream(self.upstream, (self.network.layers[-1].units, self.batch))

    @property
    def batch(self) -> int:
        """Inputs of one batch."""
        return self.inputs.batch if isinstance(self.inputs, GaussianInputs) else self.inputs.shape[-1]

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The engine of each layer."""
        return engines(self.network, self.batch, self.engine)

    @property
    def cost(self) -> Cost:
        """Of one of the networks."""
        found = cost(self.network, self.batch, self.kinds, self.dtype.itemsize, TAPE)
        return found if self.upstream is None else replace(found, bytes=found.bytes + self.upstream.nbytes)


def _check_upstream(upstream: Array, shape: tuple[int, int]) -> None:
    if upstream.shape != shape:
        message = f"must have the shape of the outputs, batch × units: {list(reversed(shape))}"
        raise InvalidValue(message, loc=("upstream",))
    if not (np.isfinite(upstream).all() and upstream.any()):
        raise InvalidValue("must be finite, and not 0 everywhere", loc=("upstream",))


@dataclass(frozen=True)
class Theory:
    """What mean-field theory says of the same network at infinite width."""

    point: MeanField
    path: Trajectory
    gradient_log10_rms: Array
    predicted_log10_ratio: float
    critical_sigma_w: float


@dataclass(frozen=True)
class Verdict:
    """The state, the layer that shows it (None where it is no single layer's), and layers that can learn."""

    state: State
    layer: int | None
    usable_depth: int
    summary: Text


@dataclass(frozen=True)
class Remedy:
    """A change of the request, and what it achieved."""

    change: dict[str, Any]
    log10_ratio: float
    state: State


@dataclass(frozen=True)
class Report:
    """Everything that is answered about an experiment."""

    kinds: tuple[Kind, ...]
    layers: dict[str, Spread]
    log10_ratio: Spread
    factor_per_layer: Spread
    underflow: dict[str, int | None]
    theory: Theory | None
    verdict: Verdict
    remedies: list[Remedy]


@dataclass(frozen=True)
class Simulation:
    """The job of simulating one network of an experiment."""

    experiment: Experiment
    index: int

    def __call__(self, map_blocks: Mapper, progress: Progress) -> Figures:
        """The figures of the network."""
        return propagate(
            self.experiment.network,
            self.experiment.inputs,
            seed=self.experiment.seed,
            index=self.index,
            dtype=self.experiment.dtype,
            engine=self.experiment.engine,
            upstream=self.experiment.upstream,
            map_blocks=map_blocks,
            progress=lambda done, total: progress(done / total),
        )


@dataclass(frozen=True)
class Prediction:
    """The job of asking mean-field theory about an experiment."""

    experiment: Experiment

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> Theory | None:
        """The theory, or None where it does not apply."""
        with np.errstate(all="ignore"):
            return _theory(self.experiment)


@dataclass(frozen=True)
class Remedies:
    """The job of finding changes to try: gains and critical points take integrals."""

    network: Network
    batch: int

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> list[tuple[dict[str, Any], Network]]:
        """Changes of the request, each with the network that it makes."""
        with np.errstate(all="ignore"):
            return list(_candidates(self.network, self.batch))


@dataclass(frozen=True)
class Cell:
    """The job of diagnosing a whole experiment in one place, without remedies."""

    experiment: Experiment

    def __call__(self, map_blocks: Mapper, progress: Progress) -> Report:
        """The report."""
        whole = progress

        def here(jobs: Sequence[Job[Result]], progress: Progress) -> Iterator[Result]:
            return (job(map_blocks, progress) for job in jobs)

        def watch(stage: Stage, part: float, networks: Sequence[Figures]) -> None:
            del stage, part
            whole(len(networks) / self.experiment.networks)

        return diagnose(self.experiment, run=here, watch=watch, remedies=False)


def diagnose(
    experiment: Experiment, *, run: Runner = in_turn, watch: Watch = unwatched, remedies: bool = True
) -> Report:
    """Simulates, compares, judges and tries remedies.

    Raises `InvalidValue` as `propagate` does.
    """
    with np.errstate(all="ignore"):  # infinite figures are findings
        prediction = run([Prediction(experiment)], ignore)  # beside the networks, where the runner can
        networks = _simulate(experiment, run, watch)
        (theory,) = prediction
        layers = summarise(networks)
        verdict = _judge(experiment.network, networks, theory)
        ratio = spread(np.array([each.log10_ratio for each in networks]))
        sick = verdict.state != "healthy" and experiment.cost.work <= REMEDY_WORK
        return Report(
            experiment.kinds,
            layers,
            ratio,
            spread(np.array([each.factor_per_layer for each in networks])),
            underflow(layers["gradient_log10_rms"].median),
            theory,
            verdict,
            _remedies(experiment, verdict, float(ratio.median), run, watch) if sick and remedies else [],
        )


def underflow(gradient_log10_rms: np.ndarray[Any, Any]) -> dict[str, int | None]:
    """For each format the first layer, 1 the last of the network, whose typical gradient rounds to zero.

    That is at half the smallest subnormal number: 2⁻¹⁵⁰, 2⁻¹³⁴ and 2⁻²⁵.
    """
    found: dict[str, int | None] = {}
    for name in TRAINED_IN:
        (below,) = np.nonzero(gradient_log10_rms[::-1] <= log10_of_zero(FORMATS[name]))
        found[name] = int(below[0]) + 1 if below.size else None
    return found


def critical(call: Call, sigma_b: float) -> Initialiser:
    """Weights on the edge of chaos for this activation; raises `InvalidValue` where there is none."""
    sigma_w = float(critical_sigma_w(unit_of(call), sigma_b))
    if math.isnan(sigma_w):
        raise InvalidValue(
            "there is no critical σ_w for this activation and sigma_b; give sigma_w itself", loc=("init",)
        )
    return gaussian(sigma_w, sigma_b)


def _simulate(experiment: Experiment, run: Runner, watch: Watch) -> list[Figures]:
    networks: list[Figures] = []
    furthest = 0.0

    def told(part: float) -> None:
        nonlocal furthest
        furthest = max(furthest, part, len(networks) / experiment.networks)
        watch("networks", furthest, networks)

    for figures in run([Simulation(experiment, index) for index in range(experiment.networks)], told):
        networks.append(figures)
        told(0.0)
    return networks


def _sigmas(network: Network) -> tuple[float, float] | None:
    """σ_w and σ_b where all layers share them and mean-field theory applies."""
    weights = network.weights
    if not isinstance(weights, Initialiser) or network.normalisation or network.residual is not None:
        return None
    shapes = {(layer.fan_in, layer.units) for layer in network.layers}
    pairs = np.array([(weights.sigma_w(*shape), weights.sigma_b(*shape)) for shape in sorted(shapes)])
    if np.ptp(pairs, axis=0).max() > 1e-12 * pairs.max():
        return None
    return float(pairs[0, 0]), float(pairs[0, 1])


def _unit(call: Call) -> Unit | None:
    try:
        return unit_of(call)
    except InvalidValue:
        return None


def _theory(experiment: Experiment) -> Theory | None:
    sigmas, unit = _sigmas(experiment.network), _unit(experiment.network.call)
    if sigmas is None or unit is None:
        return None
    inputs, layers = experiment.inputs, experiment.network.layers
    variance = inputs.variance if isinstance(inputs, GaussianInputs) else float(np.mean(inputs**2))
    path = trajectory(unit, *sigmas, len(layers), variance)
    # Each gradient sums over the units of the layer above, whose weights are scaled by the layer's own.
    widths = math.log10(layers[-1].units / layers[0].units) / 2
    return Theory(
        mean_field(unit, *sigmas),
        path,
        _gradients(path, layers, sigmas[0]) + _log10_rms(experiment.upstream),
        path.log10_gradient_ratio + widths,
        float(critical_sigma_w(unit, sigmas[1])),
    )


def _log10_rms(upstream: Array | None) -> float:
    """That of dL/d(outputs): 0 where it is drawn."""
    if upstream is None:
        return 0.0
    largest = np.abs(upstream).max()
    return float(np.log10(largest) + np.log10(np.mean((upstream / largest) ** 2)) / 2)


def _gradients(path: Trajectory, layers: Sequence[Layer], sigma_w: float) -> Array:
    """log10 √E (dL/dz)² by layer: E φ′² = χ/σ_w² in the last one, and χ with the widths' ratio below it.

    Of a unit's several pre-activations one has the gradient, the others have 0.
    """
    units = np.array([each.units for each in layers], np.float64)
    gains = np.log10(path.chi)
    gains[-1] -= 2 * np.log10(sigma_w) + math.log10(layers[-1].pieces)
    profile: Array = (np.cumsum(gains[::-1])[::-1] + np.log10(units[-1] / units)) / 2
    return profile


def _judge(network: Network, networks: list[Figures], theory: Theory | None) -> Verdict:
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
    sigmas = _sigmas(network)
    if state == "healthy" or theory is None or sigmas is None or math.isnan(theory.critical_sigma_w):
        return
    given, edge = sigmas[0], theory.critical_sigma_w
    if abs(given / edge - 1) > 0.01:
        side = Text("below", "작습니다") if given < edge else Text("above", "큽니다")
        yield Text(
            f"σ_w = {given:.3g} lies {side.en} the critical {edge:.3g}.",
            f"σ_w = {given:.3g}: 임계값 {edge:.3g}보다 {side.ko}.",
        )


def _remedies(
    experiment: Experiment, verdict: Verdict, ratio: float, run: Runner, watch: Watch
) -> list[Remedy]:
    """What helped, best first."""
    (candidates,) = run([Remedies(experiment.network, experiment.batch)], ignore)
    few = min(experiment.networks, REMEDY_NETWORKS)
    attempts = [
        (change, replace(experiment, network=network, networks=few, engine="auto"))
        for change, network in candidates
    ]
    tried = [(change, attempt) for change, attempt in attempts if attempt.cost.work <= REMEDY_WORK]
    jobs = [Simulation(attempt, index) for _, attempt in tried for index in range(few)]
    results = run(jobs, lambda part: watch("remedies", part, ()))
    helped = []
    for change, attempt in tried:
        figures = list(islice(results, few))
        achieved = float(np.median([each.log10_ratio for each in figures]))
        state = _judge(attempt.network, figures, None).state
        if _helped(verdict.state, ratio, state, achieved):
            helped.append(Remedy(change, achieved, state))
    return sorted(helped, key=lambda each: (each.state != "healthy", abs(each.log10_ratio)))[:REMEDIES]


def _helped(before: State, ratio: float, after: State, achieved: float) -> bool:
    """Whether the network is healthy now, or its gradient, one way or the other, is off by far less."""
    if after == "healthy":
        return True
    return {before, after} <= {"vanishing", "exploding"} and abs(achieved) <= BETTER * abs(ratio)


def _candidates(network: Network, batch: int) -> Iterator[tuple[dict[str, Any], Network]]:
    """Changes of the initialisation, the activation, the normalisation and the residual branches."""
    if isinstance(network.weights, Initialiser):
        yield from _initialisations(network)
        other = _other_activation(network)
        if other is not None:
            call = REGISTRY.resolve(other)
            yield {"activation": other, "params": {}}, replace(network, call=call)
    if network.normalisation is None:
        for name, normalisation in NORMALISATIONS.items():
            if normalisation.over != "batch" or batch > 1:  # one input is its own mean
                yield {"normalization": name}, replace(network, normalisation=normalisation)
    if network.residual is None and any(layer.fan_in == layer.units for layer in network.layers):
        scale = 1 / math.sqrt(network.depth)  # the branches' variances then add up to that of one layer
        yield {"residual": {"scale": scale}}, replace(network, residual=scale)


def _initialisations(network: Network) -> Iterator[tuple[dict[str, Any], Network]]:
    yield {"init": "orthogonal"}, replace(network, weights=initialiser("orthogonal"))
    unit, entry = _unit(network.call), network.call.activation
    if unit is None:
        return
    edge = float(critical_sigma_w(unit, 0.0))
    if math.isfinite(edge):
        yield {"init": "critical"}, replace(network, weights=gaussian(edge))
    if isinstance(entry, Elementwise):
        gain = gains(entry, network.call.scalars).he
        if math.isfinite(gain) and abs(gain - edge) > 0.01 * gain:
            change = {"init": {"sigma_w": gain, "sigma_b": 0.0}}
            yield change, replace(network, weights=gaussian(gain))


def _other_activation(network: Network) -> str | None:
    """The activation whose second moment this initialisation comes nearest to keeping: σ_w² E φ(Z)² = 1."""
    assert isinstance(network.weights, Initialiser)
    last = network.layers[-1]
    sigma = network.weights.sigma_w(last.fan_in, last.units)
    others = {name: gain for name, gain in _he_gains().items() if name != network.call.activation.name}
    if not others or not sigma:
        return None
    return min(others, key=lambda name: abs(math.log(sigma / others[name])))


@cache
def _he_gains() -> dict[str, float]:
    """He gains of the activations that never fall, reach slope one and saturate on one side only."""
    found = {}
    for name, entry in REGISTRY.items():
        complete = all(each.default is not None for each in entry.parameters)
        if not isinstance(entry, Elementwise) or not complete or len(entry.saturates) != 1:
            continue
        if entry.monotone and entry.smoothness >= 0 and entry.number(entry.largest_slope) >= 1:
            found[name] = gains(entry, entry.defaults).he
    return {name: gain for name, gain in found.items() if 0 < gain < math.inf}
