"""The service's answers; notebooks show them as pictures, which the service draws."""

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
    """A picture from the service, which notebooks show."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


class Drawn:
    """A result with a picture, which is requested when a notebook shows the result."""

    _draw: Callable[[], Picture | None]

    def _repr_svg_(self) -> str | None:
        draw = getattr(self, "_draw", None)
        picture = None if draw is None else draw()
        return None if picture is None else picture.svg


@dataclass
class Values(Drawn):
    """f, f′ and f″ up to the requested order, in the requested format, and gradients for an upstream.

    ``higher_derivatives`` are f‴ and on; ``proof`` counts the proved numbers, where proofs were requested.
    """

    outputs: NDArray[Any]
    derivative: NDArray[Any] | None = None
    second_derivative: NDArray[Any] | None = None
    input_gradient: NDArray[Any] | None = None
    param_gradients: Mapping[str, NDArray[Any]] | None = None
    higher_derivatives: tuple[NDArray[Any], ...] = ()
    proof: Proof | None = None


class Network(Drawn, GradientFlowResponse):
    """The answer of ``POST /gradient-flow``."""


class Diagram(Drawn, MeanFieldResponse):
    """The answer of ``POST /mean-field``."""


class Facts(Drawn, FunctionFacts):
    """The answer of ``GET /functions/{name}``."""


class FormulaFacts(Drawn, DescribeResponse):
    """The answer of ``POST /functions/describe``."""


class Judgement(VerifyResponse):
    """The answer of ``POST /verify``."""


class Training(Drawn, TrainingResponse):
    """The answer of ``POST /training``."""
