"""``activation-lab``: values, facts and networks at a terminal, and the service itself.

Questions go to the service named by ``--server``; where none is named they are answered by the same
application inside this process, which needs the extra ``server``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import httpx
import numpy as np

from app import __version__
from app.client import AsyncClient, Exchange, ServiceError, activate, describe, gradient_flow
from app.client.results import Facts, Network, Values
from app.wire.nested import NON_FINITE, to_lists

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the ``arguments`` say; the exit code is 0, 1 for a refusal and 2 for a wrong call."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command == "serve":
        return _serve(rest)
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    try:
        code: int = options.run(options)
    except ServiceError as error:
        return _failed(str(error))
    except httpx.HTTPError as error:
        return _failed(f"no answer from {options.server}: {error}")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="activation-lab", description=__doc__.split("\n\n")[1])
    parser.add_argument("--version", action="version", version=f"activation-lab {__version__}")
    commands = parser.add_subparsers(required=True, dest="command", metavar="COMMAND")

    commands.add_parser(
        "serve", help="serve over HTTP; options as of python -m activation_lab", add_help=False
    )

    values = _question(commands, "values", "values and derivatives of a function", _values)
    values.add_argument("function", help="such as tanh, torch:GELU")
    values.add_argument("inputs", nargs="+", type=_number, help="numbers, or one .npy file")
    values.add_argument("--order", type=int, default=1, help="the highest derivative (%(default)s)")
    values.add_argument("--dtype", default="float64", help="number format (%(default)s)")

    facts = _question(commands, "describe", "what is known of a function", _describe)
    facts.add_argument("function", help="such as tanh")

    flow = _question(commands, "flow", "does the gradient survive a network?", _flow)
    flow.add_argument("activation", help="such as tanh")
    flow.add_argument("--depth", type=int, help="layers")
    flow.add_argument("--width", type=_widths, help="units of every layer, or all sizes: 784,512,10")
    flow.add_argument("--init", help="such as he_normal, critical")
    flow.add_argument("--networks", type=int, help="independent random networks")
    flow.add_argument("--seed", type=int, help="of the random numbers")
    return parser


def _question(
    commands: Any, name: str, purpose: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=purpose)
    parser.add_argument("--server", help="address of a service; without one, answered in this process")
    parser.add_argument("--key", help="API key of the service")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--param", action="append", default=[], type=_param, metavar="NAME=VALUE")
    parser.set_defaults(run=run)
    return parser


def _serve(arguments: Sequence[str]) -> int:
    try:
        from app.serving import server  # noqa: F401, PLC0415  what serves is an extra
    except ImportError:
        return _failed("serving needs the extra: pip install 'activation-lab[server]'")
    from app.__main__ import main as serve  # noqa: PLC0415

    serve(arguments)
    return 0


def _values(options: argparse.Namespace) -> int:
    inputs = np.array(options.inputs)
    asked = activate(
        options.function, inputs, params=dict(options.param), order=options.order, dtype=options.dtype
    )
    found: Values = _ask(options, asked)
    columns = {
        "x": inputs,
        "f(x)": found.outputs,
        "f'(x)": found.derivative,
        "f''(x)": found.second_derivative,
    }
    known = {name: np.atleast_1d(values) for name, values in columns.items() if values is not None}
    if options.json:
        print(json.dumps({name: to_lists(values) for name, values in known.items()}))
    else:
        _table(list(known), zip(*(map(_digits, values.tolist()) for values in known.values()), strict=True))
    return 0


def _describe(options: argparse.Namespace) -> int:
    facts: Facts = _ask(options, describe(options.function))
    if options.json:
        print(facts.model_dump_json())
        return 0
    print(f"{facts.title.en} ({facts.name}): {facts.summary.en}")
    rows = [
        ("formula", facts.latex[0]),
        ("derivative", facts.latex[1] if len(facts.latex) > 1 else ""),
        ("range", facts.range),
        ("largest slope", _unless_none(facts.largest_slope)),
        ("zero-centred", "yes" if facts.zero_centred else "no"),
        ("monotone", "yes" if facts.monotone else "no"),
        ("saturates at", "unknown" if facts.saturates is None else ", ".join(facts.saturates) or "nowhere"),
        *((f"parameter {each.name}", f"{each.domain}; default {each.default}") for each in facts.parameters),
    ]
    _table(None, rows)
    return 0


def _flow(options: argparse.Namespace) -> int:
    given = {name: getattr(options, name) for name in ("depth", "width", "init", "networks", "seed")}
    chosen: Any = {name: value for name, value in given.items() if value is not None}
    report: Network = _ask(options, gradient_flow(options.activation, params=dict(options.param), **chosen))
    if options.json:
        print(report.model_dump_json())
        return 0
    shown = sorted({1, len(report.layers), *np.linspace(1, len(report.layers), 11).astype(int).tolist()})
    layers = [report.layers[number - 1] for number in shown]
    rows = [
        (
            str(each.layer),
            _digits(float(each.preactivation_variance.median), 4),
            _digits(float(each.activation_mean.median), 4),
            _digits(float(each.gradient_log10_rms.median), 4),
        )
        for each in layers
    ]
    _table(["layer", "variance of z", "mean of h", "log10 of the gradient"], rows)
    print(f"\n{report.verdict.state}: {report.verdict.summary.en}")
    for remedy in report.remedies:
        print(f"  try {json.dumps(remedy.change)}: {remedy.state}")
    return 0


def _ask(options: argparse.Namespace, exchange: Exchange[Result]) -> Result:
    """The answer of the service that was named, or of the application in this process."""
    return asyncio.run(_answer(options.server, options.key, exchange))


async def _answer(server: str | None, key: str | None, exchange: Exchange[Result]) -> Result:
    if server is not None:
        async with AsyncClient(server, key=key) as lab:
            return await lab.send(exchange)
    try:
        from app.main import create_app  # noqa: PLC0415  what computes is an extra
        from app.observation import logs  # noqa: PLC0415
        from app.settings import Settings  # noqa: PLC0415
    except ImportError:
        sys.exit("computing here needs the extra: pip install 'activation-lab[server]'; or name a --server")
    logs.configure("json", "error")
    app = create_app(Settings())
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with AsyncClient("http://here", transport=transport, progress=False) as lab:
            return await lab.send(exchange)


def _number(text: str) -> float:
    try:
        return NON_FINITE[text] if text in NON_FINITE else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a number") from None


def _widths(text: str) -> int | list[int]:
    try:
        sizes = [int(each) for each in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError("must be a whole number, or several between commas") from None
    return sizes if len(sizes) > 1 else sizes[0]


def _param(text: str) -> tuple[str, float | str | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    switches: dict[str, bool] = {"true": True, "false": False}
    try:
        return name, switches[value] if value in switches else float(value)
    except ValueError:
        return name, value


def _digits(value: float, digits: int = 17) -> str:
    """The shortest text that reads back as the same number, or so many ``digits``."""
    if digits == 17 or not math.isfinite(value):
        return repr(float(value))
    return f"{value:.{digits}g}"


def _unless_none(value: Any) -> str:
    return "unknown" if value is None else _digits(float(value))


def _table(heads: Sequence[str] | None, rows: Any) -> None:
    """Columns beside each other, as wide as they must be."""
    lines = [*([list(heads)] if heads else []), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _failed(sentence: str) -> int:
    print(f"activation-lab: {sentence}", file=sys.stderr)
    return 1
