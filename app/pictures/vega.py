"""Vega for the page: a script with Vega, Vega-Lite and Vega-Embed, bundled by vl-convert from its own copy.

It runs as a program, because bundling takes a second and 150 MB, which the server would keep. The script is
cached, compressed, in a directory of the user, so that other workers and later starts only read a file.
"""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

SNIPPET = "window.vegaEmbed = vegaEmbed;"


async def bundle() -> bytes:
    """The script, compressed with gzip, made by a subprocess."""
    # Isolated mode (-I): modules in this directory must not shadow others.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", __file__, stdout=asyncio.subprocess.PIPE
    )
    try:
        script, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError("Vega could not be bundled")
    return script


def main() -> None:
    """Writes the compressed script to the standard output."""
    sys.stdout.buffer.write(_script())


def _script() -> bytes:
    try:
        directory = Path(tempfile.gettempdir()) / f"activation-lab-{os.getuid()}"
        directory.mkdir(mode=0o700, exist_ok=True)
        if directory.lstat().st_uid != os.getuid():
            return _made()  # another user's: browsers would run whatever that user put there
        return _cached(directory)
    except OSError:  # no directory, or no space
        return _made()


def _cached(directory: Path) -> bytes:
    file = directory / f"vega-{version('vl-convert-python')}.js.gz"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker makes the file, the others wait
        if not file.exists():
            unfinished = file.with_suffix(".part")
            unfinished.write_bytes(_made())
            unfinished.rename(file)
        return file.read_bytes()


def _made() -> bytes:
    import vl_convert  # noqa: PLC0415  (its JavaScript engine is heavy, and the file may exist already)

    script: str = vl_convert.javascript_bundle(SNIPPET)
    return gzip.compress(script.encode(), 9, mtime=0)


if __name__ == "__main__":
    main()
