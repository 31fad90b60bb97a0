"""Everything timed beside what users would take instead."""

import os
import sys

# Settings that choose OpenBLAS's kernels for another processor than this one. PyTorch brings a library of its
# own, which does not heed them: they would hold one side back. OpenBLAS reads them when NumPy is imported.
# Where that is done, as in the tests, dropping them would only give processes started later other kernels.
if "numpy" not in sys.modules:
    for _setting in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(_setting, None)
