"""The verification of a kernel as a job, which any process can execute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.registry import Call
from app.core.arithmetic import Array
from app.core.arithmetic.rounding import Rounding
from app.core.evaluation import Mapper
from app.core.jobs import Progress
from app.core.verification.candidates import Candidate, candidates
from app.core.verification.causes import Cause, causes
from app.core.verification.exact import doubles, exact_orders, spread, turned
from app.core.verification.judgement import Judgement, errors, judgement
from app.core.verification.verdict import Verdict, verdict


class Report(NamedTuple):
    """The result for the function of ``call``: the requested one, or the best of ``candidates``."""

    orders: tuple[Judgement, ...]
    causes: tuple[Cause, ...]
    verdict: Verdict
    call: Call | None
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True)
class Verification:
    """A kernel's numbers at ``x``: ``outputs`` by order, None for one that is not judged.

    All are numbers of ``dtype``, held as doubles, the outputs in one row. With ``flush`` subnormal inputs and
    answers are zero. Without a ``call`` the function is searched for first.
    """

    call: Call | None
    dtype: np.dtype[Any]
    x: Array
    outputs: tuple[Array | None, ...]
    flush: bool = False
    tolerance: float | None = None
    compute: np.dtype[Any] | None = None

    @property
    def count(self) -> int:
        """How many numbers each order has."""
        return self.x.size

    def __call__(self, _: Mapper, progress: Progress, /) -> Report:
        """Judges them."""
        rounding = Rounding(self.dtype, flush=self.flush)
        x = doubles(rounding.array(self.x.ravel()))
        if self.call is not None:
            found = self._judged(spread(self.call, self.x.shape), x, rounding, progress)
            return found._replace(call=self.call)
        value = self.outputs[0]
        assert value is not None
        likely = candidates(x, value, self.dtype)
        if not likely:
            return Report((), (), verdict((), self.tolerance, explained=True), None)
        call = REGISTRY.resolve(likely[0].function, likely[0].params)
        return self._judged(call, x, rounding, progress)._replace(candidates=likely)

    def _judged(self, call: Call, x: Array, rounding: Rounding, progress: Progress) -> Report:
        count = 1 + max(order for order, each in enumerate(self.outputs) if each is not None)
        exact = exact_orders(call, x, count, rounding, progress)
        found = {
            order: errors(x, output, exact[order], self.dtype, flush=self.flush)
            for order, output in enumerate(self.outputs)
            if output is not None
        }
        judged = tuple(judgement(call, order, each, self.x.shape) for order, each in found.items())
        others = {} if self.call is None else turned(self.call, self.x.shape)
        explained = causes(call, found, self.dtype, self.compute, others, self.x.shape)
        overall = verdict(judged, self.tolerance, explained=bool(explained))
        return Report(judged, tuple(each.with_korean_particles() for each in explained), overall, call)
