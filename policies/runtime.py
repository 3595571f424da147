"""Settings of the process that trains, whatever library computes."""

import ctypes
import logging

_log = logging.getLogger(__name__)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # names of glibc's malloc.h


def keep_freed_memory() -> None:
    """Keep freed memory instead of giving it back to the system; harmless more than once.

    An update makes and drops some 50 arrays of a megabyte, and every step that comes in arrays of its own. glibc
    returns such memory at once, and each page of it is faulted in again at the next update: measured 1,100 faults and a
    quarter of the time of a critic update, and 0.2 ms per step.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ((_MMAP_THRESHOLD, 1 << 30), (_TRIM_THRESHOLD, (1 << 31) - 1), (_TOP_PAD, 1 << 26)):
            libc.mallopt(name, value)
    except (OSError, AttributeError):
        _log.info("not glibc: the allocator stays as it is")
