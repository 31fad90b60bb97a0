"""Vega for the page: one script with Vega, Vega-Lite and Vega-Embed, bundled by vl-convert from its own copy.

Run as a program, because bundling takes a second and 150 MB that a server has no use for afterwards. The
script is kept, compressed, in a directory of the user's own, so that the next worker and the next start read
a file instead.
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
    """The script, compressed with gzip, from a process of its own."""
    # Isolated: the modules beside this file must not pass for others' modules.
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
            return _made()  # someone else's: a browser would run what they put there
        return _cached(directory)
    except OSError:  # no place for it, or no room
        return _made()


def _cached(directory: Path) -> bytes:
    file = directory / f"vega-{version('vl-convert-python')}.js.gz"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker makes it, the others wait
        if not file.exists():
            unfinished = file.with_suffix(".part")
            unfinished.write_bytes(_made())
            unfinished.rename(file)
        return file.read_bytes()


def _made() -> bytes:
    import vl_convert  # noqa: PLC0415  (its JavaScript engine is heavy, and the file may be there)

    script: str = vl_convert.javascript_bundle(SNIPPET)
    return gzip.compress(script.encode(), 9, mtime=0)


if __name__ == "__main__":
    main()
