"""Single passes over memory in the form that is used here, beside the form that comes to mind first.

`python benchmarks/passes.py` writes benchmarks/results/passes.json: how many times as fast as the plain form each is,
the two in turns, medians. What is not faster any more may go. Takes half a minute and 2 GB.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from floors import FRAME, aligned
from timing import Work, in_turns
from torch import Tensor

from robot_hil.policies.torch import kernels
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "passes.json"
ROWS, WIDTH, BATCH = 256, 256, 1024
"""Rows and numbers of a critic's layer; frames of a batch with two cameras."""
ASKEW = 16
"""Bytes that a target begins behind its source in the page, where copying is slow on some processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One pass in two forms."""

    name: str
    plain: Work
    ours: Work
    against: str
    """What the plain form is."""


def trained(forms: Sequence[Callable[..., Tensor]], *inputs: Tensor) -> list[Work]:
    """Return works that go forward and back through functions of `inputs`."""
    leaves = [x.requires_grad_() for x in inputs]
    gradient = torch.ones_like(forms[0](*leaves))

    def work_of(function: Callable[..., Tensor]) -> Work:
        def work() -> None:
            torch.autograd.grad(function(*leaves), leaves, gradient)

        return work

    return [work_of(function) for function in forms]


def layer_pairs() -> list[Pair]:
    """Return the passes of an update, by one thread."""
    layer = torch.randn(2, ROWS, WIDTH)
    plain, ours = trained((torch.tanh, kernels.tanh), layer.clone())
    pairs = [Pair(name="tanh of two critics' layer, forward and back", plain=plain, ours=ours, against="torch.tanh")]
    for members in (2, 10):
        given = torch.randn(members, ROWS, WIDTH), torch.randn(members, WIDTH, 1), torch.randn(members, 1, 1)
        plain, ours = trained((lambda x, kernel, bias: torch.baddbmm(bias, x, kernel), kernels.ensemble_linear), *given)
        name = f"last layer of {members} critics, forward and back"
        pairs.append(Pair(name=name, plain=plain, ours=ours, against="torch.baddbmm"))
    maps = torch.randn(64, 32, 32, 64)
    return [
        *pairs,
        Pair(
            name="layer norm of two critics' layer",
            plain=lambda: torch.nn.functional.layer_norm(layer, (WIDTH,)),
            ours=lambda: kernels.layer_norm(layer, 1e-5),
            against="torch's without a gain",
        ),
        Pair(
            name="variance of 64 maps of 32x32 along their rows",
            plain=lambda: torch.var(maps, 1, correction=0, keepdim=True),
            ours=lambda: kernels.variance(maps, 1, True),
            against="torch.var",
        ),
    ]


def copy_pairs(frames: int) -> list[Pair]:
    """Return how frames are copied: into arrays that begin at a page, and by which call."""
    source, out = aligned((frames, FRAME)), aligned((BATCH, FRAME))
    source[:] = 1
    rows = np.random.default_rng(0).integers(0, frames, BATCH)
    room = aligned((BATCH + 1, FRAME)).reshape(-1)
    askew = room[ASKEW : ASKEW + BATCH * FRAME].reshape(BATCH, FRAME)
    store, where, target = torch.from_numpy(source), torch.from_numpy(rows), torch.from_numpy(out)

    def take(into: np.ndarray) -> Work:
        return lambda: np.take(source, rows, axis=0, out=into, mode="clip")

    def once(into: np.ndarray) -> Work:
        def work() -> None:
            for _ in range(100):
                into[0] = source[0]

        return work

    further = f"target {ASKEW} bytes further in its page"
    gather = "gather of a batch's frames by one thread"
    forms: Sequence[tuple[str, Work, Work, str]] = (
        (f"{gather}, at a page", take(askew), take(out), further),
        ("copy of a frame in the cache, at a page", once(askew), once(out), further),
        (gather, lambda: np.take(source, rows, axis=0, out=out), take(out), "the default mode of numpy.take"),
        (gather, lambda: torch.index_select(store, 0, where, out=target), take(out), "torch.index_select"),
        (gather, lambda: store[where], take(out), "indexing a torch tensor"),
    )
    return [Pair(name=name, plain=plain, ours=ours, against=other) for name, plain, ours, other in forms]


def measure(pairs: Sequence[Pair], seconds: float) -> list[Result]:
    """Return how many times as fast as the plain form each pass is."""
    results = []
    for pair in pairs:
        times = in_turns({"plain": pair.plain, "ours": pair.ours}, seconds)
        plain, ours = (float(np.median(times[form])) for form in ("plain", "ours"))
        results.append(
            Result(
                name=f"{pair.name}, against {pair.against}",
                value=plain / ours,
                unit="times as fast",
                higher_is_better=True,
                target=1.0,
                note=f"{1e6 * ours:,.0f} us instead of {1e6 * plain:,.0f}",
            )
        )
    return results


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, fewer frames")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    pairs = [*layer_pairs(), *copy_pairs(2_000 if args.quick else 20_000)]
    results = measure(pairs, 0.15 if args.quick else 1.5)
    write_results(args.out, results)
    for row in results:
        print(f"{row.name:105s} {row.value:6.2f} {row.unit}   {row.note}")


if __name__ == "__main__":
    main()
