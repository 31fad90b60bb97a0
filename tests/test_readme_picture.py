"""The README's picture is what the service draws; `make picture` draws it anew, as the README says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from app.main import create_app
from app.settings import Settings
from tests.conftest import InProcess

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PICTURES = {theme: ROOT / ".readme" / f"gradients-{theme}.svg" for theme in ("light", "dark")}

NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


def asked() -> list[tuple[str, str]]:
    """The parameters of the curl command below the picture."""
    (command,) = re.findall(r"curl -s -G \S+/plots/gradient-flow\.svg (.*?)```", README, re.DOTALL)
    words = shlex.split(command.replace("\\\n", ""))
    pairs = [word.partition("=") for word in words if not word.startswith("-")]
    return [(name, value) for name, _, value in pairs]


def drawn(client: InProcess, theme: str) -> str:
    answer = client.get("/plots/gradient-flow.svg", params=[*asked(), ("theme", theme)])
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.mark.parametrize("theme", PICTURES)
def test_the_picture_is_what_the_service_draws(client: InProcess, theme: str) -> None:
    """Every word and colour the same; every coordinate within two pixels, as fonts of machines differ."""
    kept, now = PICTURES[theme].read_text(), drawn(client, theme)
    assert NUMBER.sub("0", kept) == NUMBER.sub("0", now)
    assert numbers(kept) == pytest.approx(numbers(now), abs=2.0)


def test_the_readme_opens_with_it() -> None:
    opening = README[: README.index("## Start")]
    shown = re.findall(r"\.readme/[\w-]+\.svg", opening)
    assert {ROOT / each for each in shown} == set(PICTURES.values())


def numbers(svg: str) -> list[float]:
    return [float(each) for each in NUMBER.findall(svg)]


def main() -> None:
    """Draws the pictures into their files."""
    app: Any = create_app(Settings())
    with start_blocking_portal() as portal:
        lifespan = app.router.lifespan_context(app)
        with portal.wrap_async_context_manager(lifespan):
            client = InProcess(portal, app)
            for theme, path in PICTURES.items():
                path.write_text(drawn(client, theme))


if __name__ == "__main__":
    main()
