"""Settings of the process that trains, whatever library computes."""

import ctypes
import logging

_log = logging.getLogger(__name__)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8  # names of glibc's malloc.h


def keep_freed_memory() -> None:
    """Keep freed memory instead of giving it back to the system; harmless more than once.

    An update makes and drops some 50 arrays of a megabyte, and every step that comes in arrays of its own. glibc
    returns such memory at once, and each page of it is faulted in again at the next update. Arenas of other threads
    than the first hold 64 MB at most and give back what is larger whatever they are told, such as the one block that
    jax takes for all that an update makes: so there is one arena only.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        for name, value in (
            (_MMAP_THRESHOLD, 1 << 30),
            (_TRIM_THRESHOLD, (1 << 31) - 1),
            (_TOP_PAD, 1 << 26),
            (_ARENA_MAX, 1),
        ):
            libc.mallopt(name, value)
    except (OSError, AttributeError):
        _log.info("not glibc: the allocator stays as it is")
