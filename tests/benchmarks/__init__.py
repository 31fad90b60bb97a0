"""Benchmarks against the alternatives that users have."""

import os
import sys

# Settings that choose OpenBLAS's kernels for another processor than this one. PyTorch brings its own library,
# which ignores them: they would only slow down one side. OpenBLAS reads them when NumPy is imported. If that
# has happened, as in the tests, removing them would only give later processes different kernels.
if "numpy" not in sys.modules:
    for _setting in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(_setting, None)
