"""Print what `reward.py`, `reward_variants.py` and `reward_learning.py` found as the tables of docs/reward.md."""

from pathlib import Path

from robot_hil.report.machine import read_results

RESULTS = Path(__file__).parent / "results"
TASKS = ("pick_cube", "peg_insertion")
ROWS = {
    "binary: precision": "binary: precision of single frames (>= 0.95)",
    "binary: recall": "recall (>= 0.9)",
    "binary: false positives": "false positives (<= 0.01)",
    "binary: episodes confirmed too early or falsely": "episodes confirmed too early or falsely (<= 0.05)",
    "binary: successes never confirmed": "successes never confirmed (<= 0.05)",
    "binary: calibration error": "calibration error (<= 0.05)",
    "binary: belief in contradicted frames": "belief in five contradicted frames after retraining (<= 0.1)",
    "three-way: precision": "three-way: precision of success",
    "three-way: recall": "three-way: recall of success",
    "three-way: mean recall of the classes": "three-way: mean recall of the classes",
    "stages: precision": "stages: precision of success",
    "stages: recall": "stages: recall of success",
    "stages: mean recall of the classes": "stages: mean recall of the classes",
    "progress: VOC of successes": "progress: VOC of successes (>= 0.9)",
    "progress: VOC of failures from where they are stuck": "VOC of failures from where they are stuck (<= 0.3)",
    "progress: VOC of failures as a whole": "VOC of failures as a whole (<= 0.3)",
    "progress: VOC of failures, were they even after the mistake": "the same, were values even after the mistake",
    "progress: NR of successes": "NR of successes (<= 0.1)",
    "progress: NR of failures": "NR of failures (>= 0.3)",
    "progress: there and back, mean |sum|": "there and back, mean absolute sum (<= 0.1)",
    "progress: done, precision": "done: precision (>= 0.95)",
    "progress: done, recall": "done: recall (>= 0.8)",
    "progress: return of going to and fro": "return of going to and fro (<= 0.1)",
}
"""Name without the task -> words."""


def values_of(name: str) -> dict[str, float | None]:
    """Return the values of a file of results by name; empty where it was not written yet."""
    path = RESULTS / name
    return {row["name"]: row["value"] for row in read_results(path)} if path.exists() else {}


def accuracy() -> None:
    """Print what models get right, a column per task."""
    found = values_of("reward.json")
    print("| what | " + " | ".join(TASKS) + " |\n|---|---|---|")
    for name, words in ROWS.items():
        values = [found.get(f"{task}, {name}") for task in TASKS]
        digits = 3 if any(value is not None and 0 < value < 0.01 for value in values) else 2
        print(f"| {words} | " + " | ".join("" if v is None else f"{v:.{digits}f}" for v in values) + " |")


def plain(name: str) -> None:
    """Print a file of results as it is."""
    print("| what | value |\n|---|---|")
    for row, value in values_of(name).items():
        print(f"| {row} | {'never' if value is None else f'{value:.3g}'} |")


def learning() -> None:
    """Print the runs of `reward_learning.py`, two columns per seed."""
    found = values_of("reward_learning.json")
    runs = [name.removesuffix(": success alone") for name in found if name.endswith(": success alone")]
    measures = list(dict.fromkeys(name.split(": ")[1] for name in found if name.startswith("pick_cube_state")))
    print("| what | " + " | ".join(run.removeprefix("pick_cube_state, reward from ") for run in runs) + " |")
    print("|---|" + "---|" * len(runs))
    for measure in measures:
        cells = [found.get(f"{run}: {measure}", "") for run in runs]
        words = ["never" if cell is None else cell if cell == "" else f"{round(float(cell), 3):g}" for cell in cells]
        print(f"| {measure} | " + " | ".join(map(str, words)) + " |")


if __name__ == "__main__":
    accuracy()
    print()
    plain("reward_variants.json")
    print()
    learning()
