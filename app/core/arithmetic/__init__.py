"""Numbers with more digits than a double, sums that lose none, the formats, and loops compiled over them."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
Value: TypeAlias = float | Array
"""One number, or an array that broadcasts against others."""
