"""Memory that is freed goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 1 << 20


def return_freed_memory() -> None:
    """glibc keeps blocks of up to 32 MB for later, as large as most weights, and the process grows to twice
    its tensors. With fixed thresholds large blocks are given back. Elsewhere nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE)
        library.mallopt(M_TRIM_THRESHOLD, LARGE)
