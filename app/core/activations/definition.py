"""What an activation is: one entry with its mathematics and every fact that the catalogue states.

Two kinds share the facts. An `Elementwise` activation knows f, f′ and f″ as one function of one number, so
that what the orders share is computed once, compiled into loops. A `Rowwise` activation mixes the elements
along an axis: it has a value, a Jacobian and a vector–Jacobian product.

All facts that depend on parameters (range, limits, largest slope …) hold at the default parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from app.core.activations.formula import Expression, FloatArithmetic
from app.core.activations.parameters import Parameter
from app.core.arithmetic import Array, Value
from app.core.arithmetic.loops import Kernel


class Text(NamedTuple):
    """A sentence in the languages the service speaks."""

    en: str
    ko: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Where the function comes from. ``identifier`` is ``arXiv:…`` or ``doi:…`` where there is one."""

    authors: str
    title: str
    year: int
    identifier: str | None = None


class Formulas(NamedTuple):
    """f, f′ and f″ as they are shown and as they are tested. ``where`` defines names used in them."""

    value: Expression
    slope: Expression
    curvature: Expression | None
    where: Mapping[str, Expression] = {}

    @property
    def orders(self) -> tuple[Expression, ...]:
        """The formulas there are, by order."""
        return tuple(each for each in (self.value, self.slope, self.curvature) if each is not None)


def formulas(value: str, slope: str, curvature: str | None = None, /, **where: str) -> Formulas:
    """The formulas of an entry, from their texts."""
    definitions = {name: Expression(text) for name, text in where.items()}
    second = None if curvature is None else Expression(curvature)
    return Formulas(Expression(value), Expression(slope), second, definitions)


class Wave(NamedTuple):
    """f(x) = slope·x + versine·(1 − cos ωx) + sine·sin ωx, each coefficient a formula of the parameters."""

    frequency: str
    slope: str = "0"
    versine: str = "0"
    sine: str = "0"


@dataclass(frozen=True, kw_only=True)
class Activation:
    """The facts about one activation function, apart from how it is computed.

    Attributes:
        name: canonical name, PyTorch's where PyTorch has the function.
        formulas: f, f′, f″: shown as LaTeX, tested with mpmath.
        writings: further forms of f in kernels, which no rule of `formulas.writings` produces.
        slope_writings: the same for f′.
        constants: decimal constants in the formulas: name to (LaTeX symbol, decimal digits).
        constraints: relations between parameters, such as ``lower <= upper``.
        range: the set of values, as an interval of formulas: ``"(-alpha, inf)"``.
        limits: f at −∞ and at +∞ as formulas; None where there is no limit.
        largest_slope: sup |f′| as a formula.
        zero_centred: the mean output for a standard normal input is zero.
        monotone: never decreasing.
        smoothness: how many derivatives are continuous; −1 for a function that jumps.
        saturates: the sides on which f′ tends to zero.
        kinks: where f, f′ or f″ jumps, as formulas of the parameters. The convention at each is what the
            formulas say there.
    """

    name: str
    title: Text
    summary: Text
    formulas: Formulas
    parameters: tuple[Parameter, ...] = ()
    writings: tuple[Expression, ...] = ()
    slope_writings: tuple[Expression, ...] = ()
    constants: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    constraints: tuple[Expression, ...] = ()
    range: str
    limits: tuple[str | None, str | None]
    largest_slope: str
    zero_centred: bool
    monotone: bool
    smoothness: float
    saturates: frozenset[Literal["negative", "positive"]] = frozenset()
    kinks: tuple[str, ...] = ()
    references: tuple[Reference, ...]

    def __post_init__(self) -> None:
        names = [each.name for each in self.parameters]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: two parameters share a name")

    def __reduce__(self) -> tuple[object, ...]:
        # An entry holds functions; another process has the same registry, so its name is enough.
        return _entry, (self.name,)

    @property
    def learned(self) -> tuple[str, ...]:
        """The names of the learnable parameters."""
        return tuple(each.name for each in self.parameters if each.learnable)

    @property
    def defaults(self) -> dict[str, float]:
        """The parameters that have a default, with it."""
        return {each.name: each.default for each in self.parameters if each.default is not None}

    @property
    def symbols(self) -> dict[str, str]:
        """LaTeX symbols of parameters and constants."""
        symbols = {each.name: each.symbol for each in self.parameters}
        return symbols | {name: symbol for name, (symbol, _) in self.constants.items()}

    @property
    def numbers(self) -> dict[str, float]:
        """The constants and the default parameters, in double precision."""
        return {name: float(digits) for name, (_, digits) in self.constants.items()} | self.defaults

    @staticmethod
    def expression(text: str) -> Expression:
        """A fact given as a formula, parsed."""
        return Expression(text.strip())

    def number(self, text: str, params: Mapping[str, float] | None = None) -> float:
        """A fact given as a formula (a kink, a bound of the range) in double precision."""
        values = {**self.numbers, **(params or {})}
        return float(self.expression(text).evaluate(FloatArithmetic(), values))

    def bounds(self) -> tuple[float, float]:
        """The ends of the range at the default parameters."""
        low, high = self.range[1:-1].split(",")
        return self.number(low), self.number(high)


@dataclass(frozen=True, kw_only=True)
class Elementwise(Activation):
    """An activation of one variable.

    ``kernel`` is f, f′ and f″ as a function of x and the parameters, compiled into loops. Parameters are
    floats or arrays of x's shape.

    ``parameter_gradients`` is ∂f/∂θ for every learnable parameter, in their order.
    ``wave`` is f again where f is a single oscillation, whose Gaussian expectations are known in closed form.
    """

    kernel: Kernel
    parameter_gradients: Kernel | None = None
    wave: Wave | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        learnable = any(each.learnable for each in self.parameters)
        if learnable != (self.parameter_gradients is not None):
            raise ValueError(f"{self.name}: learnable parameters and parameter_gradients go together")

    def write(self, rows: Collection[Array], x: Array, odd: bool = False, /, **params: Value) -> None:
        """f(x), f′(x), … into as many ``rows``, each contiguous and one-dimensional like x.

        They are rounded to nearest, or to ``odd`` where they are to be rounded to a shorter format.
        """
        self.kernel.write(x, rows, params, odd=odd)

    def orders(self, x: Array, count: int, odd: bool = False, /, **params: Value) -> Array:
        """f(x), f′(x), …: the first ``count`` of them, (count, *shape of x), in x's precision."""
        rows: Array = np.empty((count, x.size), x.dtype)
        flat = {
            name: value.ravel() if isinstance(value, np.ndarray) else value for name, value in params.items()
        }
        self.write(rows, x.ravel(), odd, **flat)
        return rows.reshape(count, *x.shape)

    def pull(self, x: Array, upstream: Array, odd: bool = False, /, **params: Value) -> Array:
        """upstream·f′(x), rounded once; all have one axis."""
        return self.kernel.pull(x, upstream, params, odd=odd)

    def parameter_derivatives(self, x: Array, **params: Value) -> dict[str, Array]:
        """∂f/∂θ at every x, for every learnable parameter; x has one axis."""
        if self.parameter_gradients is None:
            return {}
        rows: Array = np.empty((len(self.learned), x.size))
        self.parameter_gradients.write(x.astype(np.float64, copy=False), rows, params)
        return dict(zip(self.learned, rows, strict=True))

    def parameter_sums(
        self, name: str, x: Array, upstream: Array, groups: int, odd: bool = False, /, **params: Value
    ) -> Array:
        """Σ upstream·∂f/∂θ for one θ over each of as many groups of consecutive elements, rounded once."""
        assert self.parameter_gradients is not None
        place = self.learned.index(name)
        return self.parameter_gradients.sums(x, upstream, params, groups, place, odd=odd)

    def break_points(self, params: Mapping[str, float] | None = None) -> list[float]:
        """Where f, f′ or f″ jumps, sorted: what quadrature must split at and plots must sample."""
        points = {self.number(text, params) for text in self.kinks}
        return sorted(point for point in points if math.isfinite(point))


def _unlimited(**_: Value) -> float:
    return math.inf


@dataclass(frozen=True, kw_only=True)
class Rowwise(Activation):
    """An activation that mixes the elements along one axis, which is always the last one here.

    ``width(n, **params)`` is the length m of the output row for an input row of length n; it raises
    `InvalidValue` where n does not fit.
    ``value(x, **params)``: (..., n) to (..., m).
    ``jacobian(x, **params)``: (..., n) to (..., m, n).
    ``pullback(x, upstream, **params)``: dL/dx, (..., n), and dL/dθ, the shape of θ, for every learnable θ
    among the parameters.
    ``deduce(params)`` completes checked parameters that depend on each other (number of pieces and weights)
    and raises `InvalidValue` where they contradict each other.
    ``interleaved`` says of a gated unit that gates and values alternate: output i is that of x_2i and x_2i+1.
    ``most(**params)`` is how many elements one request may hold.
    ``group(z, outputs, slopes)`` writes value and Jacobian at once for rows of one output each that lie along
    the middle axis of z, (m, n, B); only for functions that have no array among their parameters then.

    ``odd`` asks all three for results rounded to odd, for a shorter format. ``several_axes`` says that a row
    may run along several axes at once, since the order of its elements has no meaning.

    All compute in float64, run with floating-point warnings off and never write to their arguments. They may
    assume n ≥ 1. What they return for a row does not depend on the other rows.

    The formulas give y_i and ∂y_i/∂x_k, with the row x of length n, the output's length m, indices i and k.

    The facts speak of an output and its own inputs: x_i for y_i, or the pair or group of inputs that y_i
    gathers. ``range`` holds for one output. ``limits`` are those of y_i as its own inputs, all equal, tend to
    −∞ and to +∞ while the others stay. ``largest_slope`` is sup |∂y_i/∂x_k| over all rows of any length.
    ``monotone``: no output falls when one of its own inputs rises. ``saturates``: the sides, in the sense of
    the limits, on which the derivatives with respect to the own inputs tend to 0. ``zero_centred``: the mean
    of an output is 0 for independent standard normal inputs. Kinks lie on surfaces, not at points, and are
    not listed; the convention on them is what the formulas say there.
    """

    width: Callable[..., int]
    value: Callable[..., Array]
    jacobian: Callable[..., Array]
    pullback: Callable[..., tuple[Array, Mapping[str, Array]]]
    deduce: Callable[[Mapping[str, Value]], dict[str, Value]] = dict
    several_axes: bool = False
    interleaved: bool = False
    most: Callable[..., float] = _unlimited
    group: Callable[[Array, Array, Array], None] | None = None


def _entry(name: str) -> Activation:
    from app.core.activations import REGISTRY  # noqa: PLC0415  the registry is made of entries: not before them

    return REGISTRY[name]
