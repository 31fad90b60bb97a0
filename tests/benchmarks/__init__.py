"""Everything timed beside what users would take instead."""

import os

# Settings that choose OpenBLAS's kernels for another processor than this one. PyTorch brings a library of its
# own, which does not heed them: they would hold one side back. OpenBLAS reads them when NumPy is imported.
for _setting in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(_setting, None)
