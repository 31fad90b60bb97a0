"""What the service answered; a notebook shows it as the picture that the service draws of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.contract.activate import Proof
from app.contract.catalogue import FunctionFacts
from app.contract.describe import DescribeResponse
from app.contract.gradient_flow import GradientFlowResponse
from app.contract.mean_field import MeanFieldResponse
from app.contract.training import TrainingResponse
from app.contract.verify import VerifyResponse


@dataclass(frozen=True)
class Picture:
    """A picture of the service, which a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


class Drawn:
    """A result with a picture, drawn when a notebook shows the result."""

    _draw: Callable[[], Picture | None]

    def _repr_svg_(self) -> str | None:
        draw = getattr(self, "_draw", None)
        picture = None if draw is None else draw()
        return None if picture is None else picture.svg


@dataclass
class Values(Drawn):
    """f, f′ and f″ as far as they were asked for, in the format asked for, and gradients for an upstream.

    ``higher_derivatives`` are f‴ and on; ``proof`` counts the numbers that are proved, where that was asked.
    """

    outputs: NDArray[Any]
    derivative: NDArray[Any] | None = None
    second_derivative: NDArray[Any] | None = None
    input_gradient: NDArray[Any] | None = None
    param_gradients: Mapping[str, NDArray[Any]] | None = None
    higher_derivatives: tuple[NDArray[Any], ...] = ()
    proof: Proof | None = None


class Network(Drawn, GradientFlowResponse):
    """What ``POST /gradient-flow`` answered."""


class Diagram(Drawn, MeanFieldResponse):
    """What ``POST /mean-field`` answered."""


class Facts(Drawn, FunctionFacts):
    """What ``GET /functions/{name}`` answered."""


class FormulaFacts(Drawn, DescribeResponse):
    """What ``POST /functions/describe`` answered."""


class Judgement(VerifyResponse):
    """What ``POST /verify`` answered."""


class Training(Drawn, TrainingResponse):
    """What ``POST /training`` answered."""
