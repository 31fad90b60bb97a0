"""Activation Lab: what an activation function is worth, and whether a gradient survives it."""
