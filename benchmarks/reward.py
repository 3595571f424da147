"""How well success and progress are told from rendered frames: `python benchmarks/reward.py`, about ten minutes.

Classifiers learn from twenty demonstrations and twenty-four failures, of which the library lays some aside itself:
200 frames of success as HIL-SERL's users collect them (Luo et al. 2024), five minutes of driving. They are measured on
twenty demonstrations and twenty-one failures that none of it ever saw. The critic of progress learns from thirty
demonstrations and fifteen failures, and is measured on fifteen of either kind.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from reward_episodes import FAILURES, Episode, Scene

from robot_hil.data.labels import EpisodeKey
from robot_hil.data.reward import BINARY, THREE_WAY, LabelledFrame
from robot_hil.data.specs import Array, EnvSpec
from robot_hil.policies.reward import integration
from robot_hil.policies.reward.config import ProgressConfig, RewardConfig
from robot_hil.policies.reward.dataset import FrameSet
from robot_hil.policies.reward.evaluation import measure
from robot_hil.policies.reward.model import TrainedReward, train
from robot_hil.policies.reward.practice import EpisodeFrames
from robot_hil.policies.reward.progress import ProgressCritic, Trace, train_progress
from robot_hil.policies.reward.report import Rate, Report
from robot_hil.policies.reward.sampling import Table
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "reward.json"
STAGES = ("reach", "moving", "success")
Labels = Callable[[Episode], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is played and trained."""

    demos: int = 20
    failures: int = 24
    fresh: int = 20
    practice: int = 30
    held_out: int = 15
    classifier: RewardConfig = RewardConfig()
    critic: ProgressConfig = ProgressConfig()


def three_way(episode: Episode) -> Array:
    """Success; failure where the fingers have closed on nothing, as the proprioception tells; running otherwise."""
    closed = np.array([float(obs["proprio"][4]) < -0.8 for obs in episode.observations])
    return np.where(episode.success, 1, np.where(closed, 2, 0))


HEADS: dict[str, tuple[tuple[str, ...], Labels]] = {
    "binary": (BINARY, lambda episode: episode.success.astype(np.int64)),
    "three-way": (THREE_WAY, three_way),
    "stages": (STAGES, lambda episode: episode.stage),
}


def store(folder: Path, spec: EnvSpec, episodes: Sequence[Episode], head: str) -> FrameSet:
    """Write all frames of `episodes` into a data set."""
    classes, label = HEADS[head]
    frames = FrameSet.create(folder, classes, spec)
    for number, episode in enumerate(episodes):
        for step, (obs, kind) in enumerate(zip(episode.observations, label(episode), strict=True)):
            key: EpisodeKey = (episode.kind, 0, number)
            frame = LabelledFrame(obs=obs, label=int(kind), episode=key, step_index=step, source="log")
            frames.add(frame, durable=False)
    return frames


def judged(model: TrainedReward, episodes: Sequence[Episode], label: Labels) -> Report:
    """Judge episodes that are in no data set."""
    keys = [(episode.kind, 0, number) for number, episode in enumerate(episodes) for _ in episode.observations]
    table = Table(
        prepared=model.setup.inputs.batch([obs for episode in episodes for obs in episode.observations]),
        labels=np.concatenate([label(episode) for episode in episodes]),
        episodes=tuple(keys),
        steps=np.concatenate([np.arange(len(episode.observations)) for episode in episodes]),
        sources=("log",) * len(keys),
    )
    parts = replace(model.parts, test=tuple(dict.fromkeys(keys)))
    logits = model.scorer.logits(table.prepared)
    return measure(table, logits, model.calibrated, model.config, parts, model.classes, model.setup.success)


def classifier_rows(scene: Scene, heads: Sequence[str], size: Size) -> list[Result]:
    """Train and measure one head after the other on the same episodes."""
    taught = scene.play_many(size.demos, ("demo",), 1000) + scene.play_many(size.failures, FAILURES, 2000)
    fresh = scene.play_many(size.fresh, ("demo",), 7000) + scene.play_many(size.fresh + 1, FAILURES, 8000)
    rows: list[Result] = []
    for head in heads:
        label = HEADS[head][1]
        with tempfile.TemporaryDirectory() as folder:
            frames = store(Path(folder) / "set", scene.spec, taught, head)
            begin, busy = time.perf_counter(), _cpu()
            model = train(frames, size.classifier, seed=0, backend="torch")
            seconds, busy = time.perf_counter() - begin, _cpu() - busy
            name = f"{scene.task}, {head}"
            rows += _accuracy(name, judged(model, fresh, label))
            rows.append(_row(f"{name}: training", seconds, "s", 60.0, False, f"{busy:.0f} s of processor time"))
            if head == "binary":
                rows += _retrained(name, model, frames, fresh)
                rows.append(_latency(name, model, fresh[0]))
    return rows


def _accuracy(name: str, report: Report) -> list[Result]:
    fp, fn = report.false_positive, report.false_negative
    false, missed = report.false_episodes, report.missed_episodes
    rows = [
        _row(f"{name}: precision", report.precision, "", 0.95, True, "single frames"),
        _row(f"{name}: recall", report.recall, "", 0.9, True, "single frames, the first of a success among them"),
        _row(f"{name}: false positives", fp.value, "", 0.01, False, f"{fp.events} of {fp.trials}, {_interval(fp)}"),
        _row(f"{name}: false negatives", fn.value, "", 0.1, False, f"{fn.events} of {fn.trials}, {_interval(fn)}"),
        _row(
            f"{name}: episodes confirmed too early or falsely", false.value, "", 0.05, False,
            f"{false.events} of {false.trials}, {_interval(false)}",
        ),
        _row(
            f"{name}: successes never confirmed", missed.value, "", 0.05, False,
            f"{missed.events} of {missed.trials}, {_interval(missed)}",
        ),
        _row(
            f"{name}: calibration error", report.calibration_error, "", 0.05, False,
            f"{report.calibration_error_before:.3f} before calibration",
        ),
    ]  # fmt: skip
    if len(report.classes) > 2:
        recalls = [row[i] / max(1, sum(row)) for i, row in enumerate(report.confusion)]
        note = ", ".join(f"{kind} {share:.2f}" for kind, share in zip(report.classes, recalls, strict=True))
        rows.append(_row(f"{name}: mean recall of the classes", float(np.mean(recalls)), "", 0.9, True, note))
    return rows


def _retrained(name: str, model: TrainedReward, frames: FrameSet, fresh: Sequence[Episode]) -> list[Result]:
    """Contradict the model on the negatives of one fresh episode that it believes in most, and ask it again."""
    episode = max(fresh, key=lambda one: _belief(model, one).max())
    belief = _belief(model, episode)
    worst = np.argsort(-belief)[:5]
    negatives = [obs for obs, success in zip(episode.observations, episode.success, strict=True) if not success]
    extra = [
        LabelledFrame(
            obs=negatives[i], label=0, episode=("contradicted", 0, 0), step_index=int(i), source="false_positive"
        )
        for i in worst
    ]  # fmt: skip
    begin, busy = time.perf_counter(), _cpu()
    again = model.retrain(frames, extra)
    seconds, busy = time.perf_counter() - begin, _cpu() - busy
    after = _belief(again, episode)[worst]
    note = f"mean probability on the five frames {belief[worst].mean():.2f} before; {busy:.0f} s of processor time"
    return [
        _row(f"{name}: retraining after a false positive", seconds, "s", 20.0, False, note),
        _row(f"{name}: belief in contradicted frames", float(after.mean()), "", 0.1, False, note),
    ]


def _belief(model: TrainedReward, episode: Episode) -> Array:
    """Return the mean probability of success for an episode's frames that are none."""
    negatives = [obs for obs, success in zip(episode.observations, episode.success, strict=True) if not success]
    found: Array = model.look(negatives).mean(0)[:, model.setup.success]
    return found


def _latency(name: str, model: TrainedReward, episode: Episode) -> Result:
    judge, times = model.judge_of(), []
    for obs in [*episode.observations] * 5:
        begin = time.perf_counter()
        judge.judge(obs)
        times.append(time.perf_counter() - begin)
    p99 = 1e3 * float(np.quantile(times, 0.99))
    return _row(f"{name}: one verdict, p99", p99, "ms", 20.0, False, f"median {1e3 * float(np.median(times)):.1f} ms")


def progress_rows(scene: Scene, size: Size) -> list[Result]:
    """Train and measure a critic of progress."""
    practice = scene.play_many(size.practice, ("demo",), 1000)
    practice += scene.play_many(size.practice // 2, FAILURES, 2000)
    wins = scene.play_many(size.held_out, ("demo",), 5000)
    losses = scene.play_many(size.held_out, ("lapse",), 6000)
    begin, busy = time.perf_counter(), _cpu()
    critic = train_progress([_frames(one) for one in practice], scene.spec, size.critic, seed=0, backend="torch")
    seconds, busy = time.perf_counter() - begin, _cpu() - busy
    good, bad = ([critic.trace(one.observations) for one in some] for some in (wins, losses))
    ways = [_until_success(trace, one) for trace, one in zip(good, wins, strict=True)]
    name = f"{scene.task}, progress"
    orders = [integration.value_order_correlation(values) for values, _ in ways]
    failed = [trace.order_correlation for trace in bad]
    even = [1.0 - (1.0 - one.stuck / (len(one.observations) - 1)) ** 3 for one in losses]
    stuck = [(trace.values[one.stuck :], trace.deltas[one.stuck :]) for trace, one in zip(bad, losses, strict=True)]
    stuck_orders = [integration.value_order_correlation(values) for values, _ in stuck]
    back = [integration.negative_rate(deltas) for _, deltas in ways]
    precision, recall, note = _done(good, wins, bad)
    return [
        _row(f"{name}: VOC of successes", float(np.mean(orders)), "", 0.9, True, f"lowest {min(orders):.2f}"),
        _row(
            f"{name}: VOC of failures from where they are stuck", float(np.mean(stuck_orders)), "", 0.3, False,
            f"highest {max(stuck_orders):.2f}; stuck: peg on the plate, fingers closed on nothing",
        ),
        _row(
            f"{name}: VOC of failures as a whole", float(np.mean(failed)), "", 0.3, False,
            f"highest {max(failed):.2f}; the way to the wrong place is progress, and standing still there keeps it",
        ),
        _row(
            f"{name}: VOC of failures, were they even after the mistake", float(np.mean(even)), "", None, False,
            "of values that rise up to the mistake and neither rise nor fall on the whole from there on",
        ),
        _row(f"{name}: NR of successes", float(np.mean(back)), "", 0.1, False, f"highest {max(back):.2f}"),
        _row(
            f"{name}: NR of failures", float(np.mean([trace.negative_rate for trace in bad])), "", 0.3, True,
            f"{np.mean([integration.negative_rate(deltas) for _, deltas in stuck]):.2f} from where they are stuck",
        ),
        _row(
            f"{name}: there and back, mean |sum|", _round_trips(critic, wins), "", 0.1, False,
            "exact by construction, see docs/reward.md",
        ),
        _row(f"{name}: done, precision", precision, "", 0.95, True, note),
        _row(f"{name}: done, recall", recall, "", 0.8, True, note),
        _row(
            f"{name}: return of going to and fro", _to_and_fro(critic, wins), "", 0.1, False,
            "largest of 50 round trips between two frames, dwelling 1, 3 or 10 frames at each",
        ),
        _row(
            f"{name}: value at the end of failures", float(np.mean([trace.values[-1] for trace in bad])), "", None,
            False, f"of successes {np.mean([values[-1] for values, _ in ways]):.2f}",
        ),
        _row(f"{name}: training", seconds, "s", 120.0, False, f"{busy:.0f} s of processor time"),
    ]  # fmt: skip


def _frames(episode: Episode) -> EpisodeFrames:
    return EpisodeFrames(observations=episode.observations, success=episode.success)


def _until_success(trace: Trace, episode: Episode) -> tuple[Array, Array]:
    first = int(episode.success.argmax())
    return trace.values[: first + 1], trace.deltas[:first]


def _done(good: Sequence[Trace], wins: Sequence[Episode], bad: Sequence[Trace]) -> tuple[float, float, str]:
    """Return precision and recall of `confirmed` over frames; recall leaves out where it cannot be confirmed yet."""
    right = wrong = missed = 0
    for trace, episode in zip(good, wins, strict=True):
        first = int(episode.success.argmax())
        right += int((trace.confirmed & episode.success).sum())
        wrong += int((trace.confirmed & ~episode.success).sum())
        missed += int((~trace.confirmed & episode.success)[first + 1 :].sum())
    wrong += sum(int(trace.confirmed.sum()) for trace in bad)
    precision, recall = right / max(1, right + wrong), right / max(1, right + missed)
    return precision, recall, f"{right} frames right, {wrong} wrong, {missed} missed; 2 frames running"


def _round_trips(critic: ProgressCritic, episodes: Sequence[Episode]) -> float:
    rng, sums = np.random.default_rng(0), []
    for episode in episodes:
        encoded = critic.encode(episode.observations)
        i, j = rng.integers(0, encoded.shape[1], (2, 20))
        there, back = critic.compare(encoded[:, i], encoded[:, j]), critic.compare(encoded[:, j], encoded[:, i])
        sums.append(np.abs(there.mean(0) + back.mean(0)).mean())
    return float(np.mean(sums))


def _to_and_fro(critic: ProgressCritic, episodes: Sequence[Episode]) -> float:
    """Return the largest return of a policy that goes to and fro between two frames and ends where it began."""
    rng, found = np.random.default_rng(1), []
    for episode in islice(episodes, 5):
        i, j = np.sort(rng.choice(len(episode.observations), 2, replace=False))
        for dwell in (1, 3, 10):
            pair = [episode.observations[i]] * dwell + [episode.observations[j]] * dwell
            trace = critic.trace([*pair * 50, *pair[:dwell]])
            found.append(float(trace.rewards.sum()))
    return max(found)


def _row(name: str, value: float, unit: str, target: float | None, higher_is_better: bool, note: str) -> Result:
    return Result(name=name, value=value, unit=unit, target=target, higher_is_better=higher_is_better, note=note)


def _interval(rate: Rate) -> str:
    return f"95 % interval {rate.low:.3f} to {rate.high:.3f}"


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the updates and episodes, for trying out")
    parser.add_argument("--task", choices=("pick_cube", "peg_insertion"), action="append", help="both by default")
    parser.add_argument("--part", choices=("classifier", "progress"), action="append", help="both by default")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    size = Size()
    if args.quick:
        size = Size(
            demos=6, failures=6, fresh=3, practice=6, held_out=3, classifier=replace(size.classifier, updates=20),
            critic=replace(size.critic, updates=20),
        )  # fmt: skip
    for task in args.task or ("pick_cube", "peg_insertion"):
        scene = Scene(task)
        for part in args.part or ("classifier", "progress"):
            heads = ("binary", "three-way", "stages") if task == "pick_cube" else ("binary",)
            rows = classifier_rows(scene, heads, size) if part == "classifier" else progress_rows(scene, size)
            write_results(args.out, rows)
            for row in rows:
                verdict = {True: "reached", False: "missed", None: ""}[row.reached]
                print(
                    f"{row.name:62s} {row.value:8.3f} {row.unit:3s} target {row.target} {verdict}  {row.note}",
                    flush=True,
                )
        scene.close()


if __name__ == "__main__":
    main()
