"""The registry of activation functions: `REGISTRY`, made of the families and vocabularies alone."""

from app.core.activations import (
    bends,
    clamped_glu,
    corners,
    entmax,
    exponential,
    gated,
    glu,
    maxout,
    periodic,
    rectifiers,
    shrinkage,
    sigmoidal,
    softmax,
    steps,
    xielu,
)
from app.core.activations.registry import Registry
from app.core.vocabularies import VOCABULARIES

REGISTRY = Registry(
    sigmoidal.FAMILY,
    rectifiers.FAMILY,
    corners.FAMILY,
    bends.FAMILY,
    exponential.FAMILY,
    xielu.FAMILY,
    gated.FAMILY,
    steps.FAMILY,
    shrinkage.FAMILY,
    periodic.FAMILY,
    softmax.FAMILY,
    entmax.FAMILY,
    glu.FAMILY,
    clamped_glu.FAMILY,
    maxout.FAMILY,
    vocabularies=VOCABULARIES,
)
