"""Measure a camera: what it gives, how often, how evenly."""

from collections.abc import Iterator

import numpy as np

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.cli.checks.measure import Series, found, milliseconds, spread
from robot_hil.clock import Clock

CAMERA_HZ, CAMERA_GAP_S = 25.0, 0.080


def camera(source: int | str, clock: Clock, seconds: float, name: str) -> Iterator[Finding]:
    """Open a camera, take frames for a while, release it."""
    import cv2

    label, fix = f"camera {name}", "close other programs that use it; check: v4l2-ctl --list-formats-ext"
    capture = cv2.VideoCapture(source)
    try:
        frames, shape = Series(), (0, 0)
        end = clock.now() + seconds
        while capture.isOpened() and clock.now() < end:
            good, image = capture.read()
            if not good:
                break
            frames.times.append(clock.now())
            shape = image.shape[:2]
    finally:
        capture.release()
    if len(frames.times) < 2:
        yield found(label, Verdict.FAIL, f"gave {len(frames.times)} pictures", fix)
        return
    gaps = frames.gaps()
    good = frames.rate() >= CAMERA_HZ and float(np.percentile(gaps, 99)) <= CAMERA_GAP_S
    text = f"{shape[1]} x {shape[0]}, {frames.rate():.1f} pictures per second, gaps {spread(gaps)}"
    text += f"; wanted {CAMERA_HZ:g} per second, p99 {milliseconds(CAMERA_GAP_S)}"
    yield found(
        label,
        Verdict.PASS if good else Verdict.WARN,
        text,
        "" if good else "more light, or MJPG instead of YUYV; " + fix,
    )
