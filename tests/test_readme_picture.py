"""The documents' pictures are what the service draws; `make picture` draws them again."""

from __future__ import annotations

import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal

from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess
from tests.test_readme import CLIENTS, KOREAN, NETWORKS, README

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".readme"
SVG = "{http://www.w3.org/2000/svg}"
MOST_BYTES = 200_000
"""Largest size of an animated picture, the first thing that a reader waits for."""

NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


class Picture(NamedTuple):
    """A picture by its file, and the call that draws it."""

    file: str
    path: str
    query: tuple[tuple[str, str], ...]


def asked(path: str) -> tuple[tuple[str, str], ...]:
    """The parameters of the curl command that draws this picture."""
    (command,) = re.findall(rf"curl -s -G \S+{re.escape(path)} (.*?)```", CLIENTS, re.DOTALL)
    words = shlex.split(command.replace("\\\n", ""))
    pairs = [word.partition("=") for word in words if not word.startswith("-")]
    return tuple((name, value) for name, _, value in pairs)


FLOW, FILM = "/plots/gradient-flow.svg", "/plots/training-film.svg"
STILL = [
    Picture(f"gradients-{theme}.svg", FLOW, (*asked(FLOW), ("theme", theme))) for theme in ("light", "dark")
]
MOVING = [
    Picture(f"race-{theme}{end}.svg", FILM, (*asked(FILM), ("theme", theme), ("lang", lang)))
    for theme in ("light", "dark")
    for lang, end in (("en", ""), ("ko", "-ko"))
]


def drawn(client: InProcess, picture: Picture) -> str:
    answer = client.get(picture.path, params=list(picture.query))
    assert answer.status_code == 200, answer.text
    return answer.text


def kept(picture: Picture) -> str:
    return (FOLDER / picture.file).read_text()


def numbers(svg: str) -> list[float]:
    return [float(each) for each in NUMBER.findall(svg)]


@pytest.mark.parametrize("picture", STILL, ids=lambda each: each.file)
def test_the_picture_is_what_the_service_draws(client: InProcess, picture: Picture) -> None:
    """Every word and colour the same; every coordinate within two pixels, as fonts of machines differ."""
    before, now = kept(picture), drawn(client, picture)
    assert NUMBER.sub("0", before) == NUMBER.sub("0", now)
    assert numbers(before) == pytest.approx(numbers(now), abs=2.0)


def area(path: str) -> float:
    """Square pixels inside an outline of closed lines, holes taken off."""
    loops = [np.reshape(numbers(each), (-1, 2)).T for each in path.split("M")[1:]]
    return abs(sum(0.5 * float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) for x, y in loops))


def frames(svg: str) -> list[ET.Element]:
    return [each for each in ET.fromstring(svg).iter(f"{SVG}g") if each.get("class") in {"frame", "last"}]


@pytest.mark.parametrize("picture", MOVING, ids=lambda each: each.file)
def test_the_moving_picture_is_what_the_service_draws(client: InProcess, picture: Picture) -> None:
    """As many frames, each with the same words and areas, up to two points of accuracy and a few pixels.

    The animation is of a training, whose last digits depend on the processor.
    """
    before, now = kept(picture), drawn(client, picture)
    assert len(before) <= MOST_BYTES
    for old, new in zip(frames(before), frames(now), strict=True):
        words = [[text.text or "" for text in each.iter(f"{SVG}text")] for each in (old, new)]
        assert [NUMBER.sub("0", each) for each in words[0]] == [NUMBER.sub("0", each) for each in words[1]]
        assert numbers(" ".join(words[0])) == pytest.approx(numbers(" ".join(words[1])), abs=2)
        sizes = [
            [area(path.get("d", "")) for path in each.iter(f"{SVG}path") if path.get("fill-rule")]
            for each in (old, new)
        ]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.03, abs=300)
    rest = [re.sub(r"<g .*</g>", "", each) for each in (before, now)]
    assert NUMBER.sub("0", rest[0]) == NUMBER.sub("0", rest[1])


def test_the_readme_opens_with_the_animation() -> None:
    for text, end in ((README, ""), (KOREAN, "-ko")):
        opening = text[: text.index("```")]
        shown = re.findall(r"\.readme/([\w-]+\.svg)", opening)
        assert shown == [f"race-dark{end}.svg", f"race-light{end}.svg"]
    assert {each.file for each in STILL} == set(re.findall(r"\.readme/([\w-]+\.svg)", NETWORKS))


def main() -> None:
    """Draws the pictures into their files."""
    app: Any = create_app(Settings(request_timeout=600))  # on a busy machine, too
    with start_blocking_portal() as portal:
        lifespan = app.router.lifespan_context(app)
        with portal.wrap_async_context_manager(lifespan):
            client = InProcess(portal, app)
            for picture in (*STILL, *MOVING):
                (FOLDER / picture.file).write_text(drawn(client, picture))


if __name__ == "__main__":
    main()
