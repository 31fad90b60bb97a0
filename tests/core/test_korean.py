"""Korean particles fit the word before them, as a Korean would read it."""

from __future__ import annotations

import pytest

from app.core.korean import with_particles


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("상수을(를)", "상수를"),
        ("입력을(를)", "입력을"),
        ("길이(으)로", "길이로"),
        ("제곱근(으)로", "제곱근으로"),
        ("절반이(가)", "절반이"),
        ("배열의 합(으)로", "배열의 합으로"),
        ("물(으)로", "물로"),  # after ㄹ, too, it is 로
        ("1.5을(를)", "1.5를"),  # 오
        ("0.3이(가)", "0.3이"),  # 삼
        ("2(으)로", "2로"),
        ("1(으)로", "1로"),  # 일
        ("10(으)로", "10으로"),
        ("float32(으)로", "float32로"),
        ("float16(으)로", "float16으로"),  # 육
        ("float8_e4m3fn(으)로", "float8_e4m3fn으로"),
        ("TF32(으)로", "TF32로"),
        ("relu와 GELU은(는)", "relu와 GELU는"),
        ("softplus을(를)", "softplus를"),
        ("softsign을(를)", "softsign을"),
        ("step은(는)", "step은"),
        ("exp을(를)", "exp를"),
        ("tanh(x)을(를)", "tanh(x)를"),
        ("(1 + erf)을(를)", "(1 + erf)를"),
        ("x²을(를)", "x²을"),
        ("σ(x)과(와) 상수 λ이(가)", "σ(x)와 상수 λ가"),
        ("x과(와) n은(는) float16(으)로", "x와 n은 float16으로"),
        ("(입력이 큰) 가로", "(입력이 큰) 가로"),
    ],
)
def test_particles_fit_the_word_before(text: str, expected: str) -> None:
    assert with_particles(text) == expected
