"""Activation Lab: what an activation function is worth, and whether a gradient survives it."""

__version__ = "0.2.0"
