"""Arrays on the wire and back: nested JSON numbers, ``.npy`` files.

Whatever arrives becomes a float64 ndarray or a `WireError`; whatever leaves is exact.
"""
