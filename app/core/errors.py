"""What a caller can get wrong, each error with its own code and the place it happened.

    ActivationLabError
    ├── UnknownName          a function, parameter, format … that does not exist; names the nearest
    ├── InvalidValue         a value outside its domain, a shape that does not fit; names what is allowed
    └── LimitExceeded        a request too large for this service; states the estimate and the limit

Messages say what is allowed and never repeat what was sent.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

BEYOND = 10**18
"""An estimate above it is only said to be above: an integer may be too large for a float."""


class ActivationLabError(ValueError):
    """The caller's mistake: ``loc`` is the path to the field at fault, ``code`` a stable identifier."""

    code = "invalid"

    def __init__(self, message: str, *, loc: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.loc = loc

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders by pickle, which by default drops keyword arguments.
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(kind: type[ActivationLabError], message: str, state: dict[str, object]) -> ActivationLabError:
    error = kind.__new__(kind)
    error.args = (message,)
    error.__dict__.update(state)
    return error


class UnknownName(ActivationLabError):
    """A name that is none of ``known``; the message names the near ones, or how to list all."""

    code = "unknown_name"

    def __init__(
        self, what: str, given: str, known: Iterable[str], *, loc: tuple[str | int, ...] = (), hint: str = ""
    ) -> None:
        near = nearest(given, known)
        advice = f"did you mean {' or '.join(near)}?" if near else hint or allowed(known)
        super().__init__(f"unknown {what}; {advice}", loc=loc)


class InvalidValue(ActivationLabError):
    """A value outside its domain or a shape that does not fit."""

    code = "invalid_value"


class LimitExceeded(ActivationLabError):
    """More work or memory than one request may ask for: ``estimate`` against ``limit``, in ``unit``."""

    code = "limit_exceeded"

    def __init__(
        self, what: str, *, estimate: float, limit: float, unit: str, loc: tuple[str | int, ...] = ()
    ) -> None:
        said = f"{estimate:,.0f}" if estimate < BEYOND else f"more than {BEYOND:,}"
        super().__init__(f"{what} would take {said} {unit}; the limit is {limit:,.0f}", loc=loc)
        self.estimate = estimate
        self.limit = limit


def nearest(given: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """Up to ``most`` of the ``known`` names that ``given`` may have been meant to be, best first."""
    names = sorted(set(known))
    folded = {name.casefold().replace("_", ""): name for name in reversed(names)}
    wanted = given[:100].casefold().replace("_", "")
    return [folded[name] for name in difflib.get_close_matches(wanted, folded, n=most, cutoff=0.6)]


def allowed(known: Iterable[str]) -> str:
    """``allowed: a, b, c``: for sets small enough to be listed whole."""
    names = sorted(set(known))
    return f"allowed: {', '.join(names)}" if names else "none is allowed here"
