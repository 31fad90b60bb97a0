"""The registry of activation functions: `REGISTRY`, made from the family tuples below and nothing else."""

from app.core.activations import exponential, periodic, rectifiers, shrinkage, sigmoidal
from app.core.activations.registry import Registry

REGISTRY = Registry(
    sigmoidal.FAMILY,
    rectifiers.FAMILY,
    exponential.FAMILY,
    shrinkage.FAMILY,
    periodic.FAMILY,
)
