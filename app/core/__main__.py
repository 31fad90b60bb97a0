"""``python -m app.core``: compiles the loops that services run and keeps them, so that no process has to."""

from __future__ import annotations

import numpy as np

from app.core.activations import REGISTRY
from app.core.activations.definition import Elementwise
from app.core.arithmetic.compiled import DECLARED
from app.core.propagation import simulation  # noqa: F401  its modules declare their loops

_USES = (
    *((np.float64, count, odd) for count in (1, 2, 3) for odd in (False, True)),
    (np.float32, 2, False),
)
"""What loops are asked for: values, slopes, curvatures, in float64 and for shorter formats; and networks."""


def main() -> None:
    """Compiles each loop; parameters for each element are left to who has them."""
    for entry in REGISTRY.values():
        if isinstance(entry, Elementwise):
            params = {each.name: 1.0 for each in entry.parameters}
            for dtype, count, odd in _USES:
                entry.orders(np.zeros(1, dtype), count, odd, **params)
    for declared in DECLARED:
        _ = declared.loop


if __name__ == "__main__":
    main()
