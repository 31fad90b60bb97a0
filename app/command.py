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
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray

from app import __version__
from app.client import (
    AsyncClient,
    Exchange,
    ServiceError,
    activate,
    describe,
    describe_formula,
    gradient_flow,
    verify,
    verify_file,
)
from app.client.results import Facts, FormulaFacts, Judgement, Network, Values
from app.contract.verify import Candidate, OrderJudgement, WorstInput
from app.core.arithmetic.formats import FORMATS
from app.wire import npy
from app.wire.errors import Unsuitable
from app.wire.nested import NON_FINITE, to_lists
from app.wire.spelling import FORMULA

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command in ``arguments``.

    The exit code is 0, 1 for an error, 2 for invalid arguments and 3 for a faulty kernel.
    """
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
        "serve", help="serve over HTTP; options as for python -m activation_lab", add_help=False
    )

    values = _question(commands, "values", "values and derivatives of a function", _values)
    values.add_argument("function", help="such as tanh, torch:GELU")
    values.add_argument("inputs", nargs="+", type=_number, help="numbers, or one .npy file")
    values.add_argument("--order", type=int, default=1, help="the highest derivative (%(default)s)")
    values.add_argument("--dtype", default="float64", help="number format (%(default)s)")

    facts = _question(commands, "describe", "what is known about a function", _describe)
    facts.add_argument("function", help="such as tanh, formula:x*tanh(x)")

    judge = _question(
        commands, "verify", "how far a kernel's numbers are from the exact ones, and why", _verify
    )
    judge.add_argument("function", help="such as gelu, torch:GELU, formula:x*tanh(x); ? to search for it")
    judge.add_argument(
        "outputs", type=Path, help=".npy with the outputs, or .npz or .safetensors with outputs, inputs, …"
    )
    judge.add_argument("--inputs", type=Path, help=".npy; without it: every number of the format")
    judge.add_argument("--derivative", type=Path, help=".npy")
    judge.add_argument("--second-derivative", type=Path, help=".npy")
    judge.add_argument("--dtype", choices=tuple(FORMATS), help="the format, if the file does not say it")
    judge.add_argument(
        "--axis",
        type=int,
        help="of a row, for gated units and functions related to softmax; or of an array parameter",
    )
    judge.add_argument(
        "--compute-dtype", choices=tuple(FORMATS), help="the format that the kernel computes in"
    )
    judge.add_argument("--tolerance", type=float, metavar="ULP", help="the largest error accepted")

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
    parser.add_argument("--param", action="append", default=[], type=_param, metavar="NAME=VALUE[,…]")
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
        **{f"f^({order})(x)": values for order, values in enumerate(found.higher_derivatives, 3)},
    }
    known = {name: np.atleast_1d(values) for name, values in columns.items() if values is not None}
    if options.json:
        print(json.dumps({name: to_lists(values) for name, values in known.items()}))
    else:
        _table(list(known), zip(*(map(_digits, values.tolist()) for values in known.values()), strict=True))
    return 0


def _describe(options: argparse.Namespace) -> int:
    if options.function.startswith(FORMULA):
        return _describe_formula(options)
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
        ("zero-centred", _yes_or_no(facts.zero_centred)),
        ("monotone", _yes_or_no(facts.monotone)),
        ("saturates at", "unknown" if facts.saturates is None else ", ".join(facts.saturates) or "nowhere"),
        *((f"parameter {each.name}", f"{each.domain}; default {each.default}") for each in facts.parameters),
    ]
    _table(None, rows)
    return 0


def _describe_formula(options: argparse.Namespace) -> int:
    facts: FormulaFacts = _ask(options, describe_formula(options.function, params=dict(options.param)))
    if options.json:
        print(facts.model_dump_json())
        return 0
    kinks = ", ".join(_digits(each.at) for each in facts.kinks)
    rows = [
        ("formula", facts.latex[0] or ""),
        ("derivative", facts.latex[1] or ""),
        ("same as", facts.same_as or "no function of the catalogue that is known"),
        ("range", "unknown" if facts.range is None else f"{facts.range.low} to {facts.range.high}"),
        ("limits", " and ".join(map(_unless_none, facts.limits))),
        ("largest slope", _unless_none(facts.largest_slope)),
        ("zero-centred", _yes_or_no(facts.zero_centred)),
        ("monotone", _yes_or_no(facts.monotone)),
        ("saturates at", ", ".join(facts.saturates) or "nowhere"),
        ("kinks at", kinks or "none"),
    ]
    _table(None, rows)
    return 0


def _yes_or_no(fact: bool | None) -> str:
    return "unknown" if fact is None else "yes" if fact else "no"


PATIENCE = 3600.0
"""Seconds that a request may take when it is computed in this process."""

FAULTY = 3
"""The exit code for a faulty kernel."""


def _verify(options: argparse.Namespace) -> int:
    try:
        asked = _asked(options)
    except (OSError, ValueError, Unsuitable) as error:
        return _failed(f"{options.outputs}: {error}")
    found: Judgement = _ask(options, asked)
    if options.json:
        print(found.model_dump_json())
    else:
        _print_judgement(found)
    return FAULTY if found.verdict.state == "faulty" else 0


def _asked(options: argparse.Namespace) -> Exchange[Judgement]:
    chosen: Any = {
        "dtype": options.dtype,
        "axis": options.axis,
        "compute_dtype": options.compute_dtype,
        "tolerance_ulp": options.tolerance,
        "params": dict(options.param) or None,
    }
    chosen = {name: value for name, value in chosen.items() if value is not None}
    function = None if options.function == "?" else options.function
    if options.outputs.suffix in {".npz", ".safetensors"}:
        return verify_file(function, options.outputs.read_bytes(), **chosen)
    files = {name: getattr(options, name) for name in ("inputs", "derivative", "second_derivative")}
    arrays: dict[str, Any] = {
        name: _array(path, options.dtype) for name, path in files.items() if path is not None
    }
    return verify(function, _array(options.outputs, options.dtype), **arrays, **chosen)


def _array(path: Path, dtype: str | None) -> NDArray[Any]:
    """The array in a file; void elements, as NumPy writes ml_dtypes' formats, are read as ``dtype``."""
    body = path.read_bytes()
    header = npy.header(body)
    held = header.dtype
    if held.kind == "V":
        if dtype is None or FORMATS[dtype].itemsize != held.itemsize:
            raise ValueError("the file does not say its format: name it with --dtype")
        held = FORMATS[dtype]
    count = math.prod(header.shape)
    if held.kind == "O" or len(body) - header.start != count * held.itemsize:
        raise ValueError("the header and the number of bytes after it do not agree")
    flat = np.frombuffer(body, held, count, header.start)
    return flat.reshape(header.shape, order="F" if header.fortran_order else "C")


def _print_judgement(found: Judgement) -> None:
    print(f"{found.function or 'unknown function'} in {found.dtype}, {found.count:,} numbers")
    print(f"{found.verdict.state}: {found.verdict.summary.en}")
    for cause in found.causes:
        share = _percent(cause.explains)
        print(f"  {cause.cause} ({cause.detail}), {share} of the errors: {cause.summary.en}")
    if found.orders:
        print()
        heads = ["", "max ulp", "mean ulp", "correctly rounded", "faithful", "false zeros", "wrong signs"]
        _table(heads, map(_order_line, found.orders))
    for each in found.orders:
        if each.worst:
            print(f"\nworst of {_prime(each.order)}")
            _table(["x", "answer", "exact", "ulp", "condition"], map(_worst_line, each.worst[:5]))
    if found.candidates:
        print("\ncandidates")
        heads = ["function", "parameters", "equal", "max ulp", "differ from the first"]
        _table(heads, map(_candidate_line, found.candidates))


def _prime(order: int) -> str:
    return "f" + "'" * order


def _order_line(found: OrderJudgement) -> tuple[str, ...]:
    return (
        _prime(found.order),
        _digits(float(found.max_ulp), 4),
        _digits(found.mean_ulp, 4),
        _percent(found.correctly_rounded),
        _percent(found.faithful),
        str(found.false_zeros),
        str(found.wrong_sign),
    )


def _worst_line(worst: WorstInput) -> tuple[str, ...]:
    return (
        _digits(float(worst.input)),
        _digits(float(worst.output), 9),
        worst.exact,
        _digits(float(worst.ulp), 4),
        "" if worst.condition is None else _digits(worst.condition, 3),
    )


def _candidate_line(found: Candidate) -> tuple[str, ...]:
    return (
        found.function,
        ", ".join(f"{name}={value:.7g}" for name, value in found.params.items()),
        _percent(found.equal),
        _digits(float(found.max_ulp), 4),
        _percent(found.differs),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


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
    """The answer of the service given by ``--server``, or of the application in this process."""
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
    settings = Settings()
    timeout = max(settings.request_timeout, PATIENCE)
    app = create_app(settings.model_copy(update={"request_timeout": timeout}))
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


def _param(text: str) -> tuple[str, float | list[float] | str | bool]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    switches: dict[str, bool] = {"true": True, "false": False}
    try:
        found = [float(each) for each in value.split(",")]
    except ValueError:
        return name, switches.get(value, value)
    return name, found if len(found) > 1 else found[0]


def _digits(value: float, digits: int = 17) -> str:
    """``value`` to so many ``digits``, by default as the shortest text that reads back as the same number."""
    if digits == 17 or not math.isfinite(value):
        return repr(float(value))
    return f"{value:.{digits}g}"


def _unless_none(value: Any) -> str:
    return "unknown" if value is None else _digits(float(value))


def _table(heads: Sequence[str] | None, rows: Any) -> None:
    """Prints the rows in aligned columns."""
    lines = [*([list(heads)] if heads else []), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _failed(sentence: str) -> int:
    print(f"activation-lab: {sentence}", file=sys.stderr)
    return 1
