"""The overall judgement: one word and one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from app.core.activations.definition import Text
from app.core.verification.judgement import Judgement

State: TypeAlias = Literal["correctly_rounded", "faithful", "within_tolerance", "faulty", "undecided"]


class Verdict(NamedTuple):
    """The judgement of all orders together."""

    state: State
    summary: Text


def verdict(orders: Sequence[Judgement], tolerance: float | None, *, explained: bool) -> Verdict:
    """The state of all orders together; a faulty kernel is described by its order with the largest error."""
    count = sum(each.count for each in orders)
    if not orders:
        return Verdict(
            "undecided",
            Text(
                "No function of the catalogue comes near these numbers.",
                "목록에 있는 함수 가운데 이 수들에 가까운 것이 없습니다.",
            ),
        )
    if not count:
        return Verdict(
            "undecided",
            Text("No right answer could be proved here.", "여기서는 정답을 하나도 증명하지 못했습니다."),
        )
    if all(each.correctly_rounded == 1 for each in orders):
        return Verdict(
            "correctly_rounded",
            Text(
                f"All {count:,} numbers are the exact answers, rounded correctly.",
                f"{count:,}개의 수가 모두 정확한 값을 올바르게 반올림한 것입니다.",
            ),
        )
    if all(each.faithful == 1 for each in orders):
        off = sum(round(each.count * (1 - each.correctly_rounded)) for each in orders)
        return Verdict(
            "faithful",
            Text(
                f"Each of the {count:,} numbers is one of the two neighbours of the exact answer; "
                f"{off:,} of them the farther one.",
                f"{count:,}개의 수가 모두 정확한 값의 양옆에 있는 두 수 가운데 하나이며, "
                f"그중 {off:,}개는 더 먼 쪽입니다.",
            ),
        )
    worst = max(orders, key=lambda each: each.max_ulp)
    if tolerance is not None and worst.max_ulp <= tolerance and not _wrong_specials(orders):
        return Verdict(
            "within_tolerance",
            Text(
                f"The largest error is {_ulps(worst.max_ulp)} ulp, within the tolerance of "
                f"{_ulps(tolerance)} ulp.",
                f"최대 오차는 {_ulps(worst.max_ulp)} ulp로, 허용 오차 {_ulps(tolerance)} ulp 이내입니다.",
            ),
        )
    found = _faulty(worst)
    if not explained:
        found = Text(f"{found.en} No known cause fits.", f"{found.ko} 알려진 원인 가운데 맞는 것이 없습니다.")
    return Verdict("faulty", found)


def _wrong_specials(orders: Sequence[Judgement]) -> bool:
    names = {"nan", "infinity", "-infinity", "undefined"}
    return any(each.wrong for order in orders for each in order.special_values if each.name in names)


_NAMES = (Text("value", "함숫값"), Text("derivative", "도함수"), Text("second derivative", "이계도함수"))


def _faulty(worst: Judgement) -> Text:
    wrong = round(worst.count * (1 - worst.faithful))
    name = _NAMES[worst.order]
    share = f"{100 * wrong / worst.count:.3g}"
    if np.isinf(worst.max_ulp):
        return Text(
            f"{wrong:,} of {worst.count:,} numbers of the {name.en} ({share} %) are not next to the exact "
            "answer; some are NaN or infinite where the answer is a number, or the other way round.",
            f"{name.ko} {worst.count:,}개 가운데 {wrong:,}개({share}%)가 정확한 값의 이웃이 아니며, 정답이 "
            "수인데 NaN이나 무한대이거나 그 반대인 것이 있습니다.",
        )
    return Text(
        f"{wrong:,} of {worst.count:,} numbers of the {name.en} ({share} %) are not next to the exact "
        f"answer; the largest error is {_ulps(worst.max_ulp)} ulp.",
        f"{name.ko} {worst.count:,}개 가운데 {wrong:,}개({share}%)가 정확한 값의 이웃이 아니며, "
        f"최대 오차는 {_ulps(worst.max_ulp)} ulp입니다.",
    )


def _ulps(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}" if value < 1e9 else f"{value:.3g}"
