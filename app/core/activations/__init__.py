"""The registry of activation functions: `REGISTRY`, made from the family tuples below and nothing else."""

from app.core.activations import rectifiers, shrinkage, sigmoidal
from app.core.activations.registry import Registry

REGISTRY = Registry(
    sigmoidal.FAMILY,
    rectifiers.FAMILY,
    shrinkage.FAMILY,
)
