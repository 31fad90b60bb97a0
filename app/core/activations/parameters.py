"""Parameters of an activation: name, symbol, domain, default, typical range.

From this one description come validation, the sentence in an error, the catalogue and what tests draw:
values inside the typical range, and the values just outside the domain that must be refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.core.activations.formula import Expression
from app.core.arithmetic import Value


@dataclass(frozen=True)
class Interval:
    """A real interval in the usual notation: ``Interval("(0, inf)")``, ``Interval("[-1, 1]")``.

    An infinite end that is closed admits the infinity itself. NaN lies in no interval.
    """

    text: str

    @property
    def low(self) -> float:
        """The lower end."""
        return float(self.text[1:-1].split(",")[0])

    @property
    def high(self) -> float:
        """The upper end."""
        return float(self.text[1:-1].split(",")[1])

    def contains(self, value: Value) -> bool:
        """Whether every element of ``value`` lies in the interval."""
        values = np.asarray(value)
        above = values >= self.low if self.text[0] == "[" else values > self.low
        below = values <= self.high if self.text[-1] == "]" else values < self.high
        return bool(np.all(above & below))

    def outside(self) -> Iterator[float]:
        """Values that must be refused: the nearest ones beyond each end, and NaN."""
        if self.text[0] == "(":
            yield self.low
        elif math.isfinite(self.low):
            yield math.nextafter(self.low, -math.inf)
        if self.text[-1] == ")":
            yield self.high
        elif math.isfinite(self.high):
            yield math.nextafter(self.high, math.inf)
        yield math.nan

    def __str__(self) -> str:
        return f"a real number in {self.text}"


@dataclass(frozen=True)
class Integers:
    """The whole numbers from ``low`` to ``high``."""

    low: int
    high: int

    def contains(self, value: Value) -> bool:
        """Whether ``value`` is one whole number in the range."""
        values = np.asarray(value)
        return values.ndim == 0 and float(values).is_integer() and bool(self.low <= values <= self.high)

    def outside(self) -> Iterator[float]:
        """Values that must be refused."""
        yield from (self.low - 1.0, self.high + 1.0, self.low + 0.5, math.nan, math.inf)

    def __str__(self) -> str:
        return f"a whole number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Nonzero:
    """The real numbers other than 0."""

    def contains(self, value: Value) -> bool:
        """Whether every element of ``value`` is one."""
        values = np.asarray(value)
        return bool(np.all(np.isfinite(values) & (values != 0)))

    def outside(self) -> Iterator[float]:
        """Values that must be refused."""
        yield from (0.0, math.inf, -math.inf, math.nan)

    def __str__(self) -> str:
        return "a real number other than 0"


@dataclass(frozen=True)
class Flags:
    """1 for yes and 0 for no."""

    def contains(self, value: Value) -> bool:
        """Whether every element of ``value`` is one of the two."""
        values = np.asarray(value)
        return bool(np.all((values == 0) | (values == 1)))

    def outside(self) -> Iterator[float]:
        """Values that must be refused."""
        yield from (0.5, -1.0, 2.0, math.nan)

    def __str__(self) -> str:
        return "0 or 1"


REAL = Interval("(-inf, inf)")
NONZERO = Nonzero()
POSITIVE = Interval("(0, inf)")
NON_NEGATIVE = Interval("[0, inf)")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter.

    ``description`` says what it does, in English and Korean.
    ``default`` is None where a value must be given, or where absence has a meaning of its own
    (``required`` tells which). ``typical`` bounds the values that tests draw at random.
    ``gradient`` is ∂f/∂(parameter) as a formula, for parameters that networks learn.
    ``shape`` names the axes of an array parameter (Maxout's weights); None means a number, or, of a function
    of one variable and where it ``broadcasts``, an array that broadcasts against the inputs.
    ``learnable``: its gradient is available; ``trained``: networks train it wherever they use the function,
    not only on request.
    """

    name: str
    symbol: str
    description: tuple[str, str]
    domain: Interval | Integers | Nonzero | Flags = REAL
    default: float | None = None
    required: bool = False
    typical: tuple[float, float] = (-2.0, 2.0)
    gradient: Expression | None = None
    shape: tuple[str, ...] | None = None
    learnable: bool = False
    trained: bool = False
    broadcasts: bool = False

    def __post_init__(self) -> None:
        if self.default is not None and not self.domain.contains(self.default):
            raise ValueError(f"the default of {self.name} is not {self.domain}")
        if self.gradient is not None and not self.learnable:
            raise ValueError(f"{self.name} has a gradient but is not learnable")
        if self.trained and not self.learnable:
            raise ValueError(f"{self.name} is trained but is not learnable")
