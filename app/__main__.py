"""``python -m app``: serves. Options win over environment variables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the options and serves."""
    # Imported here: worker processes run this module's top as well, and need none of it.
    from pydantic import ValidationError  # noqa: PLC0415

    from app.serving.server import serve  # noqa: PLC0415
    from app.settings import settings  # noqa: PLC0415

    try:
        own = settings()
    except ValidationError as error:
        sys.exit("\n".join(map(_sentence, error.errors())))
    parser = argparse.ArgumentParser(prog="python -m app", description="Serve Activation Lab over HTTP.")
    parser.add_argument("--host", default=own.host, help="address to listen on (%(default)s)")
    parser.add_argument("--port", default=own.port, type=int, help="port to listen on (%(default)s)")
    parser.add_argument("--workers", default=own.workers, type=int, help="server processes (%(default)s)")
    options = parser.parse_args(arguments)
    serve(own.model_validate({**own.model_dump(exclude_unset=True), **vars(options)}))


def _sentence(error: Mapping[str, Any]) -> str:
    """What is wrong with a setting, under its variable's name and without its value."""
    variable = "".join(f"ACTIVATION_LAB_{part}: ".upper() for part in error["loc"][:1])
    return variable + str(error["msg"]).removeprefix("Value error, ")


if __name__ == "__main__":
    main()
