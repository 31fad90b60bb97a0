"""The registry of activation functions: `REGISTRY`, made from the family tuples below and nothing else."""

from app.core.activations import (
    exponential,
    gated,
    glu,
    maxout,
    periodic,
    rectifiers,
    shrinkage,
    sigmoidal,
    softmax,
)
from app.core.activations.registry import Registry

REGISTRY = Registry(
    sigmoidal.FAMILY,
    rectifiers.FAMILY,
    exponential.FAMILY,
    gated.FAMILY,
    shrinkage.FAMILY,
    periodic.FAMILY,
    softmax.FAMILY,
    glu.FAMILY,
    maxout.FAMILY,
)
