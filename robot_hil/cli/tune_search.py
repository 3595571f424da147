"""A search for an experiment's numbers: on tuning seeds, then the best against the default on test seeds.

It is a folder: every training is a run in it, and the study is appended to, so that a search which was stopped goes on,
and chooses what it would have chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.cli.finish import evaluate_run, of_final_policy
from robot_hil.cli.inprocess import InProcess
from robot_hil.cli.runfolder import RunFolder
from robot_hil.cli.signals import StopRequest
from robot_hil.cli.tune_evolve import BY_CHANCE, bred, goes_on
from robot_hil.cli.tune_space import Dimension, Seeds, Value, changed, value_of
from robot_hil.compare.statistics import mean_interval
from robot_hil.errors import ConfigError, DependencyError
from robot_hil.report.metrics import EpisodeRow, write_json

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

    from robot_hil.experiments.base import Experiment

RESULT_FILE, STUDY_FILE = "tune.json", "study.log"
DEFAULT = "default"
"""Name of the experiment's own numbers among the trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One training with its evaluation."""

    seed: int
    score: float
    success: float
    """Of the robot alone."""
    human_steps: int
    env_steps: int
    wall_s: float


@dataclass
class Search:
    """Runs trainings until all are done or a stop is asked for."""

    experiment: "Experiment"
    root: Path
    space: tuple[Dimension, ...]
    seeds: Seeds
    trials: int
    sampler: str
    seed: int
    human_cost: float
    stop: StopRequest
    argv: Sequence[str] = ()
    refused: dict[int, str] = field(default_factory=dict)
    """Trials whose numbers do not work together, and why."""

    def run(self) -> dict[str, Any] | None:
        """Search and test; return the result, None when stopped before its end."""
        default = self._score(DEFAULT, {}, tuning=True)
        study = self._study()
        while not self.stop and not self._spent(study):
            self._trial(study)
        if self.stop or default is None:
            return None
        done = {_name(t.number): t for t in _over(study) if t.value is not None}
        best = max(done, key=lambda name: _value(done[name]), default=None)
        chosen = DEFAULT if best is None or _value(done[best]) <= _mean(default) else best
        numbers = {} if best is None or chosen == DEFAULT else self._numbers(done[best])
        tested = self._score(chosen, numbers, tuning=False)
        plain = tested if chosen == DEFAULT else self._score(DEFAULT, {}, tuning=False)
        if self.stop or tested is None or plain is None:
            return None
        result = self._result(study, default, chosen, numbers, tested, plain)
        write_json(self.root / RESULT_FILE, result)
        return result

    # -- trials ------------------------------------------------------------------------------------------------------

    def _study(self) -> "Study":
        optuna = optuna_or_raise()
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(str(self.root / STUDY_FILE)))
        study: Study = optuna.create_study(
            storage=storage, study_name=self.experiment.name, direction="maximize", load_if_exists=True
        )
        return study

    def _trial(self, study: "Study") -> None:
        """Run the next trial, or go on with one that was cut."""
        optuna = optuna_or_raise()
        number, numbers = self._next(study)
        try:
            changed(self.experiment, numbers)
        except ConfigError as error:
            self.refused[number] = str(error)
            study.tell(number, state=optuna.trial.TrialState.FAIL)
            return
        outcomes = self._score(_name(number), numbers, tuning=True)
        if outcomes is None:
            return
        if len(outcomes) == len(self.seeds.tuning):
            study.tell(number, _mean(outcomes))
        else:
            study.tell(number, state=optuna.trial.TrialState.PRUNED)

    def _next(self, study: "Study") -> tuple[int, dict[str, Value]]:
        optuna = optuna_or_raise()
        cut = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        if cut and set(cut[0].params) == {one.name for one in self.space}:
            return cut[0].number, self._numbers(cut[0])
        for trial in cut:  # cut before it knew all its numbers
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        number = len(study.get_trials())
        # A sampler of its own for each trial: what is chosen depends on the trials before it, not on stops between.
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        if self.sampler == "evolve":
            tried = [(self._own(), self._scores(DEFAULT))]
            tried += [(self._numbers(t), scores) for t in _over(study) if (scores := self._scores(_name(t.number)))]
            study.enqueue_trial(bred(self.space, tried, np.random.default_rng(seed)))
        elif self.sampler == "random":
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        else:
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=BY_CHANCE)
        fresh = study.ask()
        return fresh.number, {one.name: one.suggest(fresh) for one in self.space}

    def _numbers(self, trial: "FrozenTrial") -> dict[str, Value]:
        return {one.name: trial.params[one.name] for one in self.space if one.name in trial.params}

    def _score(self, name: str, numbers: Mapping[str, Value], *, tuning: bool) -> list[Outcome] | None:
        """Train with `numbers` and the seeds of one kind, as long as that is worth while; None when stopped."""
        experiment = changed(self.experiment, numbers)
        found: list[Outcome] = []
        for seed in self.seeds.tuning if tuning else self.seeds.test:
            if tuning and found and not self._goes_on(name, [one.score for one in found]):
                break
            outcome = self._train(experiment, name, self.seeds.check(seed, tuning=tuning))
            if outcome is None:
                return None
            found.append(outcome)
        print(f"{name}, {'tuning' if tuning else 'test'} seeds: {_mean(found):.3f} {in_words(numbers)}", flush=True)
        return found

    def _train(self, experiment: "Experiment", name: str, seed: int) -> Outcome | None:
        """Train and evaluate one run from where it stands; None when stopped."""
        run = RunFolder(self.root / name / f"seed-{seed}")
        run.join(experiment, self.argv, seed)
        run.lock("train")
        try:
            run.start_clock()
            done = [row for row in of_final_policy(run.episodes()) if row.phase == "eval"]
            if len(done) < experiment.eval_episodes:
                if not done:
                    InProcess(experiment, run, seed, self.stop, lambda: None).run()
                if not self.stop:
                    evaluate_run(experiment, run, seed, self.stop, lambda: None)
            return None if self.stop else outcome_of(seed, run.episodes(), self.human_cost, run.now())
        finally:
            self.stop.on_stop = lambda: None
            run.unlock()

    # -- budget --------------------------------------------------------------------------------------------------------

    def _spent(self, study: "Study") -> bool:
        """Whether the search has had what it may cost: `trials` sets of numbers, or as many trainings as they take."""
        if self.sampler != "evolve":
            return len(_over(study)) >= self.trials
        # What was refused counts as a training: else a space in which nothing works would be searched for ever.
        return sum(max(1, len(self._scores(_name(t.number)))) for t in _over(study)) >= self._runs

    @property
    def _runs(self) -> int:
        return self.trials * len(self.seeds.tuning)

    def _goes_on(self, name: str, scores: Sequence[float]) -> bool:
        """Return whether a trial with these scores shall have another seed."""
        if self.sampler != "evolve" or name == DEFAULT:
            return True
        others = [self._scores(path.name) for path in sorted(self.root.glob("trial-*")) if path.name != name]
        left = self._runs - sum(map(len, others)) - len(scores)
        return left > 0 and goes_on(scores, [self._scores(DEFAULT), *others], len(self.seeds.tuning))

    def _scores(self, name: str) -> list[float]:
        """Return what the finished trainings of a trial came to, by tuning seed; those of before a stop, too."""
        found: list[float] = []
        for seed in self.seeds.tuning:
            rows = RunFolder(self.root / name / f"seed-{seed}").episodes()
            if sum(row.phase == "eval" for row in of_final_policy(rows)) < self.experiment.eval_episodes:
                break
            found.append(outcome_of(seed, rows, self.human_cost, 0.0).score)
        return found

    # -- result ------------------------------------------------------------------------------------------------------

    def _result(
        self, study: "Study", default: Sequence[Outcome], chosen: str, numbers: Mapping[str, Value],
        tested: Sequence[Outcome], plain: Sequence[Outcome],
    ) -> dict[str, Any]:  # fmt: skip
        rows: list[dict[str, Any]] = [
            {"name": DEFAULT, "numbers": self._own(), "score": _mean(default), "tuning": list(default)}
        ]
        for trial in _over(study):
            name, scores = _name(trial.number), self._scores(_name(trial.number))
            row = {"name": name, "numbers": self._numbers(trial), "score": trial.value}
            if trial.value is None and scores:
                row |= {"given_up": float(np.mean(scores)), "seeds": len(scores)}
            elif trial.value is None:
                row["refused"] = self.refused.get(trial.number, "its numbers do not work together")
            rows.append(row)
        differences = [a.score - b.score for a, b in zip(tested, plain, strict=True)]
        tuned = next(row["score"] for row in rows if row["name"] == chosen)
        runs = sorted(self.root.glob("*/seed-*"))
        every = [RunFolder(path).episodes() for path in runs]
        return {
            "experiment": self.experiment.name, "space": [_described(one) for one in self.space],
            "sampler": self.sampler, "seed": self.seed, "tuning_seeds": list(self.seeds.tuning),
            "test_seeds": list(self.seeds.test), "human_cost": self.human_cost, "trials": rows, "chosen": chosen,
            "numbers": dict(numbers), "tuning_score": tuned, "test": {"chosen": list(tested), "default": list(plain)},
            "test_score": _mean(tested), "default_test_score": _mean(plain), "gap": tuned - _mean(tested),
            "difference": float(np.mean(differences)), "difference_ci95": mean_interval(differences),
            "budget": {
                "runs": len(runs),
                "env_steps": sum(max((row.env_steps for row in episodes), default=0) for episodes in every),
                "wall_s": sum(max((row.t_wall_s for row in episodes), default=0.0) for episodes in every),
            },
        }  # fmt: skip

    def _own(self) -> dict[str, Value]:
        return {one.name: value_of(self.experiment, one.name) for one in self.space}


def outcome_of(seed: int, episodes: Sequence[EpisodeRow], human_cost: float, wall_s: float) -> Outcome:
    """Return what a training came to: success of the robot alone, less `human_cost` times the share of human steps."""
    alone = [row for row in of_final_policy(episodes) if row.phase == "eval"]
    train = [row for row in episodes if row.phase == "train"]
    steps, human = sum(row.steps for row in train), sum(row.human_steps for row in train)
    success = sum(row.success for row in alone) / max(1, len(alone))
    return Outcome(
        seed=seed, score=success - human_cost * human / max(1, steps), success=success, human_steps=human,
        env_steps=steps, wall_s=wall_s,
    )  # fmt: skip


def optuna_or_raise() -> Any:
    """Return the library; raises `DependencyError` where it is not installed."""
    try:
        import optuna
    except ImportError as error:
        raise DependencyError("tuning needs optuna: pip install 'robot_hil[tune]'.") from error
    return optuna


def _name(number: int) -> str:
    return f"trial-{number:03d}"


def _over(study: "Study") -> "list[FrozenTrial]":
    return [trial for trial in study.get_trials() if trial.state.is_finished()]


def _value(trial: "FrozenTrial") -> float:
    return float("-inf") if trial.value is None else float(trial.value)


def _mean(outcomes: Sequence[Outcome]) -> float:
    return float(np.mean([one.score for one in outcomes]))


def in_words(numbers: Mapping[str, Value]) -> str:
    """Return numbers in one line."""
    return ", ".join(f"{name.split('.')[-1]} {_short(value)}" for name, value in numbers.items())


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _described(one: Dimension) -> str:
    if one.choices:
        return f"{one.name}={','.join(map(str, one.choices))}"
    return f"{one.name}={one.low:g}..{one.high:g}{':log' if one.log else ''}"
