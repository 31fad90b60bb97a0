"""Initialisations that suit the activation, so that trainings can be compared."""

from __future__ import annotations

import math

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.diagnosis.theory import critical
from app.core.errors import InvalidValue
from app.core.propagation.initialisers import Initialiser, gaussian
from app.core.theory.duals import gains


def fair(call: Call) -> Initialiser:
    """The activation's critical σ_w without biases; where there is none, 1/√E φ(Z)², which keeps E h².

    Raises `InvalidValue` where there is neither.
    """
    try:
        return critical(call, 0.0)
    except InvalidValue:
        if not isinstance(call.activation, Elementwise):
            raise
    gain = gains(call.activation, call.scalars).he
    if not 0 < gain < math.inf:
        raise InvalidValue("there is no σ_w that preserves this activation's signal", loc=("init",))
    return gaussian(gain)


def linear() -> Initialiser:
    """The initialisation of a head, which has no activation: σ_w = 1 preserves its input's mean square."""
    return gaussian(1.0)
