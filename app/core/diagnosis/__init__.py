"""Whether the gradient survives; if not, why, and which changes help."""
