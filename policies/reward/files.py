"""Files of a data set: images without loss, on the disk when it is said so."""

import os
from pathlib import Path

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import StorageError


def write_file(path: Path, data: bytes, mode: str, durable: bool = True) -> None:
    """Write `data`, opened with `mode`; `durable` waits until the disk has it."""
    with path.open(mode) as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def write_png(path: Path, image: Array, mode: str, durable: bool) -> None:
    """Write uint8 RGB (H, W, 3) without loss."""
    import cv2

    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise StorageError(f"{path.name} could not be encoded as PNG.")
    write_file(path, data.tobytes(), mode, durable)


def read_png(path: Path) -> Array:
    """Read what `write_png` wrote; raises `StorageError` when it is gone or damaged."""
    import cv2

    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}. Discard the frame.") from error
    if image is None:
        raise StorageError(f"{path} is no image: it is damaged. Discard the frame.")
    decoded: Array = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return decoded
