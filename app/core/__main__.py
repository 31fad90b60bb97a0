"""``python -m app.core``: compiles the loops that services run and keeps them, so that no process has to."""

from __future__ import annotations

import argparse

from app.core.preparation import compile_loops

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m app.core", description="Compile the service's loops.")
    parser.add_argument("--most-used", action="store_true", help="only those that are asked for most")
    compile_loops(most_used=parser.parse_args().most_used)
