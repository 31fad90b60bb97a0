"""Initialisations that suit the activation, so that trainings can be compared."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from app.core.activations.definition import Elementwise
from app.core.activations.registry import Call
from app.core.diagnosis.theory import critical
from app.core.errors import InvalidValue
from app.core.propagation.initialisers import Initialiser, gaussian
from app.core.theory.duals import gains

QUANTILES = np.array([NormalDist().inv_cdf(0.5 + (place + 0.5) / 128) for place in range(64)])
"""Quantiles of a standard normal variable, those above 0."""


def usual(call: Call) -> str:
    """The initialiser that the literature pairs with the activation, by its name.

    He's for rectifiers, which lose about half of the signal's mean square (He et al. 2015,
    arXiv:1502.01852), and Glorot's for all others. A rectifier passes one side of its inputs as they are and
    little of the other: over the quantiles of a standard normal z, the mean of (φ(z) − φ(0))² is at least
    twice as large on one side, and over both sides at most 3/4 of that of z². ReLU, leaky ReLU, ELU, GELU,
    SiLU and Mish are such rectifiers. SELU, which keeps the mean square by itself, and functions like tanh
    are not.
    """
    if not isinstance(call.activation, Elementwise):
        return "xavier_normal"
    params = {name: float(np.mean(value)) for name, value in call.params.items()}
    with np.errstate(all="ignore"):
        (value,) = call.activation.orders(np.concatenate([[0.0], QUANTILES, -QUANTILES]), 1, **params)
        little, much = sorted(np.mean((value[1:] - value[0]).reshape(2, -1) ** 2, axis=1))
    rectifies = much >= 2 * little and little + much <= 1.5 * np.mean(QUANTILES**2)
    return "he_normal" if rectifies else "xavier_normal"


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
