"""Serialisation of arrays: nested JSON numbers, ``.npy``, ``.npz`` and safetensors files, raw tensors.

Input becomes float64 ndarrays or raises a `WireError`; output is exact.
"""
