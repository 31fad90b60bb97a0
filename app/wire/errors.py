"""What can be wrong with bytes that claim to hold arrays."""

from __future__ import annotations


class WireError(ValueError):
    """The bytes do not hold what they claim. The message never repeats them."""


class Malformed(WireError):
    """Not in the format at all: broken JSON, a number no float64 can hold, a key given twice."""


class Unsuitable(WireError):
    """Well formed, but no array of numbers: ragged, of objects, longer or shorter than it says."""
