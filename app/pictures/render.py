"""Renders Vega-Lite specifications as SVG and PNG by vl-convert, in a separate worker process.

vl-convert holds the GIL while it draws, and its V8 takes 100 MB and may hang or crash, so it does not run in
a process with an event loop. The process starts with the first picture that is requested. Pictures are cached
by content, up to a number of bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, TypeAlias, TypeVar

from app.compute.threads import Busy, DeadlineExceeded
from app.compute.workers import Executor
from app.core.evaluation import Mapper
from app.core.jobs import Job, Progress
from app.pictures.specifications import FONT, Language

Form: TypeAlias = Literal["svg", "png", "vl.json"]
Result = TypeVar("Result")

VERSION = version("vl-convert-python")


def tag_of(content: bytes) -> str:
    """An entity tag: the same for the same bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


@dataclass(frozen=True)
class Drawing:
    """The job of drawing a specification as SVG, or as PNG with ``scale`` pixels per unit."""

    specification: bytes
    form: Form
    scale: float = 1.0

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> bytes:
        """The file."""
        import vl_convert  # noqa: PLC0415  # it brings V8, which only the worker needs

        text = self.specification.decode()
        if self.form == "svg":
            return vl_convert.vegalite_to_svg(text, allowed_base_urls=[]).encode()
        return vl_convert.vegalite_to_png(text, scale=self.scale, allowed_base_urls=[])

    @property
    def tag(self) -> str:
        """The entity tag: the same for the same content and version of vl-convert."""
        scale = self.scale if self.form == "png" else None
        return tag_of(f"{self.form} {scale} {VERSION}".encode() + self.specification)


@dataclass(frozen=True)
class HangulFont:
    """The job of finding out whether a font for Hangul is installed: two syllables then look different."""

    def __call__(self, _map_blocks: Mapper, _progress: Progress) -> bool:
        """Whether a font is installed."""
        import vl_convert  # noqa: PLC0415

        drawn = {vl_convert.svg_to_png(_SYLLABLE.format(each)) for each in "가뷁"}
        return len(drawn) > 1


_SYLLABLE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">'
    f'<text x="5" y="30" font-size="25" font-family="{FONT}">{{}}</text></svg>'
)


class Renderer:
    """Draws up to ``places`` pictures at a time, and caches ``kept_bytes`` of them."""

    def __init__(self, executor: Executor, places: int, kept_bytes: int) -> None:
        self._executor = executor
        self._places = places
        self._taken = 0
        self._cache = _Cache(kept_bytes)
        self._hangul: bool | None = None

    async def language(self, wanted: Language, form: Form, seconds: float) -> Language:
        """``wanted``, or English for a PNG if no font for Korean is installed."""
        if wanted != "ko" or form != "png":
            return wanted
        if self._hangul is None:
            self._hangul = await self._run(HangulFont(), seconds)
        return wanted if self._hangul else "en"

    async def draw(self, drawing: Drawing, seconds: float) -> bytes:
        """The file, from the cache or drawn now.

        Raises `Busy` if all places are taken, `DeadlineExceeded` after ``seconds``, and `WorkerLost`.
        """
        if drawing.form == "vl.json":
            return drawing.specification
        if (cached := self._cache.get(drawing.tag)) is not None:
            return cached
        drawn = await self._run(drawing, seconds)
        self._cache.put(drawing.tag, drawn)
        return drawn

    async def _run(self, job: Job[Result], seconds: float) -> Result:
        if self._taken >= self._places:
            raise Busy
        self._taken += 1
        try:
            running = self._executor.submit(job, threads=1)
            return await asyncio.wait_for(asyncio.wrap_future(running.future), seconds)
        except TimeoutError:
            raise DeadlineExceeded from None
        finally:
            self._taken -= 1

    def close(self) -> None:
        """Cancels all drawing."""
        self._executor.close()


class _Cache:
    """Files by key; the least recently used are evicted first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> bytes | None:
        if key in self._files:
            self._files.move_to_end(key)
        return self._files.get(key)

    def put(self, key: str, file: bytes) -> None:
        if len(file) > self._most:
            return
        self._size += len(file) - len(self._files.pop(key, b""))
        self._files[key] = file
        while self._size > self._most:
            _, oldest = self._files.popitem(last=False)
            self._size -= len(oldest)
