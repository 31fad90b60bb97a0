"""The page's words: both languages say the same things, and Korean says them as a teacher would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "app" / "page"

OLD = (
    "렐루(ReLU)",
    "굽는 정도",
    "영점 중심",
    "위상도",
    "유닛 사멸",
    "폭주",
    "임계값",
    "층마다 χ",
    "연속인 도함수",
    "감소하지 않음",
    "이득",
    "고유 주소",
    "요청한 설정",
    "재는 중",
    "직접 입력한 수",
    "뉴런",
    "하드 탄젠트",
    "탄젠트 슈링크",
    "제곱 렐루",
    "2계 도함수",
    "유효 숫자",
    "경사하강법",
    "비정규수",
    "포화하",
    "모형",
    "잔차 가지",
    "한 줄의",
    "값과 기울기를 어떻게 바꿀까요?",
)
"""Words that a native teacher does not use here, and second names of one thing; the last one lacked its
subject."""

SUBJECT = "활성화 함수는 "


def words(path: Path) -> dict[str, str]:
    """The texts of a file of words by their names."""
    pairs = re.findall(r'^  "?([\w.]+)"?:\s+"(.*)",$', path.read_text(), flags=re.MULTILINE)
    return dict(pairs)


@pytest.mark.parametrize("folder", [PAGE, PAGE / "learn"], ids=["page", "scenes"])
def test_both_languages_have_the_same_words_with_the_same_gaps(folder: Path) -> None:
    english, korean = words(folder / "en.js"), words(folder / "ko.js")
    assert len(english) > 100
    assert english.keys() == korean.keys()
    for name, text in english.items():
        gaps = [set(re.findall(r"\{\w+\}", each)) for each in (text, korean[name])]
        assert gaps[0] == gaps[1], name


def test_every_word_that_is_asked_for_is_there() -> None:
    known = words(PAGE / "en.js").keys()
    scripts = [path for path in PAGE.rglob("*.js") if path.parent.name not in {"learn", "scenes"}]
    asked = {name for path in scripts for name in re.findall(r"""\bt\(\s*"([\w.]+)"[,)]""", path.read_text())}
    assert len(asked) > 100
    assert asked <= known


@pytest.mark.parametrize("path", [PAGE / "ko.js", PAGE / "learn" / "ko.js"], ids=["page", "scenes"])
def test_korean_percent_signs_stand_at_their_numbers(path: Path) -> None:
    for name, text in words(path).items():
        assert " %" not in text, name
        assert not re.search(r"\((를|가|는|와|으)\)", text), name


@pytest.mark.parametrize("word", OLD)
def test_no_old_word_is_left(word: str) -> None:
    texts = [each for end in ("js", "html", "py") for each in (ROOT / "app").rglob(f"*.{end}")]
    for path in [*texts, ROOT / "README.ko.md"]:
        text = path.read_text().replace(SUBJECT + word, "")
        assert word not in text, path
