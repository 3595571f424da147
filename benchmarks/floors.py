"""What this machine itself can do: the physical limits that every other figure is held against.

`python benchmarks/floors.py` writes benchmarks/results/floors.json. Other suites call `measure_floors` in their own
run, or single rates between their own measurements, so that a busy machine slows both alike. Arithmetic and memory are
given by the fastest repetition, for another process can only slow them down; disk and sockets by what they sustain.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from timing import CpuUse, Work, seconds_of

from robot_hil.data.specs import Array
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "floors.json"
FRAME = 128 * 128 * 3
"""Bytes of one camera image: the row of a gather."""
RECORD = 2 * FRAME
"""Bytes of a step with two cameras: a record of the log, a message on the wire."""
PAGE = os.sysconf("SC_PAGE_SIZE")
GROUP = 16
"""Records in one durable commit."""
THREADS = 2
"""Threads that learn, unless told otherwise."""
CONVOLUTION = {"batch": 128, "channels": 64, "side": 32, "kernel": 3}
"""A layer in the middle of a small ResNet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Rates of this machine at the time of measurement."""

    matmul_fp32: float
    """Fastest float32 matrix product of the sizes measured, `THREADS` threads [FLOP/s]."""
    matmul_fp32_x2: float
    """Of 2 x 256x256x256, a layer of two critics for a batch of 256 [FLOP/s]."""
    matmul_fp32_x10: float
    """Of 10 x 256x256x256 [FLOP/s]."""
    matmul_bf16: float
    """The same for bfloat16, which is emulated where the processor has no instructions for it [FLOP/s]."""
    conv_fp32: float
    """3x3 convolution, 64 channels, 32x32, 128 images [FLOP/s]."""
    gather_49k: float
    """Random rows of 49 kB copied out of several GB by one thread [B/s]."""
    copy: float
    """Copying 256 MB by one thread, counted once [B/s]."""
    memcpy: float
    """Copying one frame of 49 kB that is in the cache [B/s]."""
    crc32: float
    """`zlib.crc32` over 98 kB [B/s]."""
    file_single: float
    """Records of 98 kB appended to a file, fdatasync after each [1/s]."""
    file_group: float
    """The same, fdatasync after every 16 [1/s]."""
    zmq_loopback: float
    """Messages of 98 kB from one process to another by TCP on this machine [1/s]."""
    steal: float
    """Share of all processor time that the host gave to other machines during the measurement, in [0, 1]."""
    others: float
    """Share that other processes of this machine took, in [0, 1]."""


def product_work(size: int, batch: int, dtype: str, device: str = "cpu") -> Work:
    """Return a work that multiplies `batch` pairs of square matrices at once; `dtype` as torch names it."""
    import torch

    a, b = (torch.randn(batch, size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    out = torch.empty_like(a)

    def work() -> None:
        torch.bmm(a, b, out=out)
        if device != "cpu":
            torch.cuda.synchronize()

    return work


def matmul_rate(size: int, batch: int, dtype: str, seconds: float, device: str = "cpu") -> float:
    """Return FLOP/s of `product_work`."""
    return 2.0 * batch * size**3 / min(seconds_of(product_work(size, batch, dtype, device), seconds))


def product_rates(seconds: float) -> dict[str, float]:
    """Return the `Floors` of matrix products, on the CPU."""
    two, ten, large = (matmul_rate(size, batch, "float32", seconds) for size, batch in ((256, 2), (256, 10), (1024, 1)))
    half = matmul_rate(256, 2, "bfloat16", seconds)
    if half > 0.5 * two:  # else emulated: larger ones would only take seconds
        half = max(half, matmul_rate(256, 10, "bfloat16", seconds), matmul_rate(1024, 1, "bfloat16", seconds))
    return {
        "matmul_fp32": max(two, ten, large),
        "matmul_fp32_x2": two,
        "matmul_fp32_x10": ten,
        "matmul_bf16": half,
    }


def conv_work(dtype: str, device: str = "cpu") -> Work:
    """Return a work that is the convolution `CONVOLUTION`, channels last in memory, which is the faster way."""
    import torch

    n, channels, side, kernel = CONVOLUTION.values()
    kind = {"device": device, "dtype": getattr(torch, dtype)}
    images = torch.randn(n, channels, side, side, **kind).to(memory_format=torch.channels_last)
    weights = torch.randn(channels, channels, kernel, kernel, **kind).to(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode():
            torch.nn.functional.conv2d(images, weights, padding=kernel // 2)
        if device != "cpu":
            torch.cuda.synchronize()

    return work


def conv_flop() -> float:
    """Return the operations of `conv_work`."""
    n, channels, side, kernel = CONVOLUTION.values()
    return 2.0 * n * channels**2 * kernel**2 * side**2


def conv_rate(seconds: float, dtype: str = "float32", device: str = "cpu") -> float:
    """Return FLOP/s of `conv_work`."""
    return conv_flop() / min(seconds_of(conv_work(dtype, device), seconds))


def aligned(shape: tuple[int, ...]) -> Array:
    """Return uint8 ones that begin at the start of a page.

    glibc copies with `rep movsb`, which is five times slower on some processors when the target's place in its page
    is 1 to 31 bytes behind the source's: whether malloc's places are so is chance, and then holds for a whole run.
    """
    size = int(np.prod(shape))
    memory = np.ones(size + PAGE, np.uint8)  # ones: every page is there
    start = -memory.ctypes.data % PAGE
    return memory[start : start + size].reshape(shape)


def gather_rate(size: float, seconds: float, rows: int = 1024) -> float:
    """Return B/s of copying random 49 kB rows out of an array of `size` bytes, `rows` at a time: one batch's frames."""
    rng = np.random.default_rng(0)
    slots = int(size) // FRAME
    array, out = aligned((slots, FRAME)), aligned((rows, FRAME))
    draws = itertools.cycle(rng.integers(0, slots, (1000, rows)))
    return rows * FRAME / min(seconds_of(lambda: np.take(array, next(draws), axis=0, out=out, mode="clip"), seconds))


def copy_rate(size: int, seconds: float) -> float:
    """Return B/s of copying `size` bytes from one place to another; each byte is counted once."""
    source, target = aligned((size,)), aligned((size,))
    times = max(1, (1 << 24) // size)  # a call of nanoseconds cannot be timed alone

    def work() -> None:
        for _ in range(times):
            np.copyto(target, source)

    return times * size / min(seconds_of(work, seconds))


def crc32_rate(seconds: float) -> float:
    """Return B/s of `zlib.crc32` over records of 98 kB."""
    data = np.random.default_rng(0).bytes(RECORD)

    def work() -> None:
        for _ in range(20):
            zlib.crc32(data)

    return 20.0 * RECORD / min(seconds_of(work, seconds))


def sync_times(folder: Path, seconds: float, group: int) -> list[float]:
    """Return how long each append of `group` records of 98 kB to a file in `folder` takes, fdatasync included [s]."""
    data = np.random.default_rng(0).bytes(group * RECORD)
    with (folder / "floor.bin").open("wb", buffering=0) as file:

        def work() -> None:
            file.write(data)
            os.fdatasync(file.fileno())

        return seconds_of(work, seconds)


def sync_rate(folder: Path, seconds: float, group: int) -> float:
    """Return records of 98 kB per second that are appended to a file in `folder`, fdatasync after every `group`."""
    return group / float(np.median(sync_times(folder, seconds, group)))


_SENDER = """
import sys, zmq
with zmq.Context() as context, context.socket(zmq.PUSH) as socket:
    socket.connect(sys.argv[1])
    data = bytes(int(sys.argv[2]))
    for _ in range(int(sys.argv[3])):
        socket.send(data, copy=False)
    socket.close(linger=20000)
"""


def zmq_rate(messages: int) -> float:
    """Return messages of 98 kB per second from a process to this one by TCP."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.PULL) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        sender = [sys.executable, "-c", _SENDER, f"tcp://127.0.0.1:{port}", str(RECORD), str(messages)]
        with subprocess.Popen(sender):
            socket.recv()  # the sender has started
            begin = time.perf_counter()
            for _ in range(messages - 1):
                socket.recv(copy=False)
            return (messages - 1) / (time.perf_counter() - begin)


def gather_bytes(quick: bool) -> float:
    """Return how large the gather's array may be: 6 GB, or a third of the free memory; 1 GB when in a hurry."""
    return 1e9 if quick else min(6e9, PAGE * os.sysconf("SC_AVPHYS_PAGES") / 3)


def measure_floors(quick: bool) -> Floors:
    """Measure everything, in about 4 s if `quick`, else 30 s; leaves torch's number of threads as it was."""
    import torch

    use, seconds, threads = CpuUse(), 0.1 if quick else 1.0, torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        compute = product_rates(seconds) | {"conv_fp32": conv_rate(seconds)}
    finally:
        torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = {"file_single": sync_rate(folder, seconds, 1), "file_group": sync_rate(folder, seconds, GROUP)}
    rates = (
        compute
        | disk
        | {
            "gather_49k": gather_rate(gather_bytes(quick), seconds),
            "copy": copy_rate(1 << 28, seconds),
            "memcpy": copy_rate(FRAME, seconds),
            "crc32": crc32_rate(seconds),
            "zmq_loopback": zmq_rate(2_000 if quick else 20_000),
        }
    )
    steal, others = use.shares()
    return Floors(steal=steal, others=others, **rates)


LABELS: dict[str, tuple[str, str, float]] = {
    "matmul_fp32": ("matrix product, float32", "GFLOP/s", 1e9),
    "matmul_fp32_x2": ("matrix product, float32, 2 x 256x256x256", "GFLOP/s", 1e9),
    "matmul_fp32_x10": ("matrix product, float32, 10 x 256x256x256", "GFLOP/s", 1e9),
    "matmul_bf16": ("matrix product, bfloat16", "GFLOP/s", 1e9),
    "conv_fp32": ("convolution 3x3, 64 channels, float32", "GFLOP/s", 1e9),
    "gather_49k": ("random gather of 49 kB rows", "GB/s", 1e9),
    "copy": ("copy of 256 MB", "GB/s", 1e9),
    "memcpy": ("copy of 49 kB in the cache", "GB/s", 1e9),
    "crc32": ("crc32", "GB/s", 1e9),
    "file_single": ("98 kB records appended to a file, fdatasync after each", "1/s", 1.0),
    "file_group": ("98 kB records appended to a file, fdatasync after 16", "1/s", 1.0),
    "zmq_loopback": ("zmq messages of 98 kB between processes", "1/s", 1.0),
}
"""Name, unit and divisor of every rate in the results."""


def rows_of(floors: Floors) -> list[Result]:
    """Return the rates as results; each says how busy the machine was."""
    values: dict[str, Any] = asdict(floors)
    note = f"{THREADS} threads for products; stolen {floors.steal:.0%}, other processes {floors.others:.0%}"
    return [
        Result(name=label, value=values[field] / scale, unit=unit, higher_is_better=True, note=note)
        for field, (label, unit, scale) in LABELS.items()
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds instead of half a minute, 1 GB of memory")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    results = rows_of(measure_floors(args.quick))
    write_results(args.out, results)
    for row in results:
        print(f"{row.name:48s} {row.value:12.1f} {row.unit}")
    print(results[0].note)


if __name__ == "__main__":
    main()
