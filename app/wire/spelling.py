"""A function with its parameters in one line, as in a query string or a legend.

name
name(parameter=0.2, switch=tanh, other=true)
formula:x * tanh(beta * x); beta=0.2
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.wire.errors import Unsuitable
from app.wire.nested import NON_FINITE, name_of

Setting = float | str | bool

FORMULA = "formula:"
"""The prefix of a formula; its parameters follow after a semicolon, which no formula contains."""

SYNTAX = "must be a function's name, name(parameter=number, …), or formula:…; parameter=number, …"

_CALL = re.compile(r"\s*([\w:]+)\s*(?:\((.*)\)\s*)?")
_SETTING = re.compile(r"\s*(\w+)\s*=\s*([\w.+-]+)\s*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SWITCHES = {"true": True, "false": False}


def read(text: str) -> tuple[str, dict[str, Setting]]:
    """The name and the parameters; raises `Unsuitable` for anything but the syntax above."""
    name, inside = _parts(text)
    settings: dict[str, Setting] = {}
    for part in inside.split(",") if inside and inside.strip() else ():
        found = _SETTING.fullmatch(part)
        if found is None:
            raise Unsuitable(SYNTAX)
        parameter, value = found.groups()
        if parameter in settings:
            raise Unsuitable("a parameter is given twice")
        settings[parameter] = _value(value)
    return name, settings


def _parts(text: str) -> tuple[str, str | None]:
    if text.startswith(FORMULA):
        name, _, inside = text.partition(";")
        return name.strip(), inside
    call = _CALL.fullmatch(text)
    if call is None:
        raise Unsuitable(SYNTAX)
    return call[1], call[2]


def spell(name: str, settings: Mapping[str, object]) -> str:
    """The line that `read` parses; an array is shown as an ellipsis."""
    inside = ", ".join(f"{parameter}={_shown(value)}" for parameter, value in settings.items())
    if name.startswith(FORMULA):
        return f"{name}; {inside}" if inside else name
    return f"{name}({inside})" if inside else name


def _value(text: str) -> Setting:
    if text in NON_FINITE:
        return NON_FINITE[text]
    return float(text) if _NUMBER.fullmatch(text) else _SWITCHES.get(text, text)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if not isinstance(value, float):
        return "…"
    return repr(value).removesuffix(".0") if value - value == 0 else name_of(value)
