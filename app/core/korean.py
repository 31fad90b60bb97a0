"""Korean particles, whose form depends on the sound in which the word before them ends."""

from __future__ import annotations

import re

_BOTH = re.compile(r"(을\(를\)|이\(가\)|은\(는\)|과\(와\)|\(으\)로)")
"""Both forms of a particle, as Korean writes them where the word before is not known."""

_DIGITS = {"0": "ㅇ", "1": "ㄹ", "3": "ㅁ", "6": "ㄱ", "7": "ㄹ", "8": "ㄹ"}
"""The final consonants of 영, 일, 삼, 육, 칠 and 팔; the other digits end in a vowel."""

_SIGNS = {"²": "ㅂ", "³": "ㅂ", "′": "ㅁ", "″": "ㅁ", "ε": "ㄴ"}
"""Those of 제곱, 세제곱, 프라임 and 엡실론."""

_LATIN = {"l": "ㄹ", "m": "ㅁ", "n": "ㄴ", "ng": "ㅇ"}
"""How words end in Korean that end in these letters; so do the names of the letters."""

_FIRST, _FINALS, _RIEUL = ord("가"), 28, 8


def with_particles(text: str) -> str:
    """``text`` with 을(를), 이(가), 은(는), 과(와) and (으)로 narrowed to the form that fits the word before.

    Numbers are read digit by digit, and Latin letters as Koreans read such words.
    """
    read = ""
    for part in _BOTH.split(text):
        read += _form(part, _final(read)) if _BOTH.fullmatch(part) else part
    return read


def _form(both: str, final: str) -> str:
    if both == "(으)로":
        return "로" if final in {"", "ㄹ"} else "으로"
    return both[0] if final else both[2]


def _final(text: str) -> str:
    """The consonant in which the text ends when it is read, or nothing."""
    bare = text.rstrip(" )]}’”\"'.")
    last = bare[-1:]
    if "가" <= last <= "힣":
        number = (ord(last) - _FIRST) % _FINALS
        return "ㄹ" if number == _RIEUL else "ㄱ" * bool(number)
    if last in _DIGITS or last in _SIGNS:
        return {**_DIGITS, **_SIGNS}[last]
    letters = re.search("[a-z]*$", bare.lower())
    word = letters[0] if letters else ""
    if re.search("[aeiou]p$", word):  # step, clip
        return "ㅂ"
    if word == "r":
        return "ㄹ"
    return _LATIN.get(word[-2:]) or _LATIN.get(word[-1:], "")
