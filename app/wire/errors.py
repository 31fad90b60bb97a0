"""Errors in the serialised form of arrays."""

from __future__ import annotations


class WireError(ValueError):
    """The bytes cannot be read as arrays. The message never repeats them."""


class Malformed(WireError):
    """Not in the format: broken JSON, a number that no float64 can hold, a duplicate key."""


class Unsuitable(WireError):
    """Well formed, but not an array of numbers: ragged, of objects, or not of the declared size."""
