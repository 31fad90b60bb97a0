"""``python -m app.core``: compiles the loops that services run and keeps them, so that no process has to."""

from __future__ import annotations

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic.compiled import DECLARED
from app.core.arithmetic.loops import Fused
from app.core.propagation import simulation  # noqa: F401  its modules declare their loops

_USES = ((np.float64, 1), (np.float64, 2), (np.float64, 3), (np.float32, 2))
"""Formats, and how many orders are asked for in them: values, slopes, curvatures, and networks."""


def main() -> None:
    """Compiles each loop; parameters for each element are left to who has them."""
    for entry in REGISTRY.values():
        if isinstance(entry, Elementwise) and isinstance(entry.derivatives, Fused):
            params = {each.name: 1.0 for each in entry.parameters}
            for dtype, count in _USES:
                entry.orders(np.zeros(1, dtype), count, **params)
    for declared in DECLARED:
        _ = declared.loop


if __name__ == "__main__":
    main()
