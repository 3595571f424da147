"""Frames to a small GIF that a README or a chat can show."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import SpecError, StorageError

MAX_BYTES = 3_000_000


def write_gif(path: Path, frames: Sequence[Array], fps: float = 15.0, max_bytes: int = MAX_BYTES) -> None:
    """Write `frames`, uint8 (H, W, 3) RGB of one size, as an endless GIF of at most `max_bytes`.

    A film that comes out too big is written again with every second frame (at half the rate, so the speed stays),
    then at half the size, as often as needed. Raises SpecError for no frames or frames of another kind.
    """
    if not frames:
        raise SpecError("a film needs at least one frame; none was given. Record an episode first.")
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape != frames[0].shape or frame.shape[2] != 3:
            raise SpecError(
                f"frame {index} is {frame.dtype} {frame.shape}; all must be uint8 (H, W, 3) of one size, "
                f"here {frames[0].shape}."
            )
    film, halve_rate = list(frames), True
    content = _encode(film, fps)
    while len(content) > max_bytes and min(film[0].shape[:2]) >= 32:
        if halve_rate and len(film) > 1:
            film, fps = film[::2], fps / 2
        else:
            film = [frame[::2, ::2] for frame in film]
        halve_rate = False
        content = _encode(film, fps)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}. Free space or choose another folder.") from error


def _encode(frames: Sequence[Array], fps: float) -> bytes:
    """Return the GIF of `frames`, all in the palette of a few frames together: no flicker, and small."""
    import io

    from PIL import Image

    sample = np.concatenate([frames[i] for i in np.linspace(0, len(frames) - 1, min(8, len(frames))).astype(int)])
    palette = Image.fromarray(sample).quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    # GIF counts in hundredths of a second; 2 is the fastest that viewers respect.
    duration_ms = max(20, 10 * round(100 / fps))
    images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=duration_ms, loop=0, optimize=False)
    return buffer.getvalue()
