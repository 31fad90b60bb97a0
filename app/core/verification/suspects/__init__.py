"""Supposed kernels, by what is wrong with them."""
