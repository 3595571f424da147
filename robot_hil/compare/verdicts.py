"""The claims of a comparison in Markdown, from the rows that `compare.claims` made."""

from collections.abc import Mapping, Sequence
from typing import Any

from robot_hil.compare.choice import advised
from robot_hil.compare.claims import ALL, DEGRADATION, HALF, TASKS_OF_SIX
from robot_hil.compare.crossover import explained

Row = Mapping[str, Any]

_OVER_ALL = {
    "earns": "earn their place over all tasks together",
    "mixed": "gain by one measure and lose by the other",
    "unclear": "make no difference that these seeds show",
    "costs": "cost more than they bring",
}
"""Verdict on a term -> what is said of those with it."""


def choice_text(rows: Sequence[Row]) -> str:
    """Return the table of methods by who helps, and which of them to take."""
    persons = list(rows[0]["by_person"])
    top = {person: max(row["by_person"][person] for row in rows) for person in persons}
    head = [
        "method", "family", "needs", *(f"`{person}`" for person in persons), "all", "area", "human steps",
        "from one log",
    ]  # fmt: skip
    lines = [
        [
            f"`{row['method']}`", row["family"], ", ".join(row["needs"]),
            *(_best_of(row["by_person"][person], top[person]) for person in persons),
            f"{row['success']:.2f}", f"{row['area']:.2f}", f"{row['human_steps']:.0f}", _share(row["from_log"]),
        ]
        for row in rows
    ]  # fmt: skip
    tasks = " and ".join(f"`{task}`" for task in rows[0]["tasks"])
    said = (
        f"**Which to use**: success alone at the end by who helped, mean over {tasks}; area and human steps are means "
        "over persons, too; needs is what a log must hold beside observations and actions."
    )
    table = "\n".join(
        "| " + " | ".join(cells) + " |" for cells in [head, ["---"] * 3 + ["--:"] * (len(head) - 3), *lines]
    )
    return "\n".join([said, "", table, "", *(f"- {line}" for line in advised(rows))])


def crossover_text(rows: Sequence[Row]) -> str:
    """Return the table of both families' success for each task and person, where they cross, and why or why not."""
    lines = [
        "| task | person | imitation | reinforcement | imitation is ahead by |",
        "| --- | --- | --: | --: | --- |",
        *(
            f"| `{row['task']}` | `{row['person']}` | {row['imitation']:.2f} | {row['reinforcement']:.2f} | "
            f"{_gain(row['gain'], row['gain_ci95'])} |"
            for row in rows
        ),
    ]
    head = (
        "**Crossover**: do methods that imitate win with a good person, and those that learn by reinforcement with a "
        "bad one? Mean final success of all methods of a family that have every "
        f"person and seed ({_members(rows)}), and the difference, seed by seed."
    )
    return "\n".join([head, "", *lines, "", *(f"- {said}" for said in explained(rows))])


def effort_text(rows: Sequence[Row]) -> str:
    """Return what a comparison took in all; empty where nothing of it is there."""
    [row] = rows
    if not row["cells"]:
        return ""
    seeds = ", ".join(map(str, row["seeds"])) or "none"
    few = f" (of {row['planned_seeds']} planned)" if len(row["seeds"]) < row["planned_seeds"] else ""
    parts = [f"{row['cells']} trainings, seeds {seeds}{few}", f"{row['cpu_s'] / 3600:.1f} h of processor time"]
    parts += [f"{row['processes']} at once"] if row["processes"] else []
    parts += [f"{row['failures']} failed"] if row["failures"] else []
    return "**In all**: " + "; ".join(parts) + "."


def baseline_text(rows: Sequence[Row]) -> str:
    """Return the table of ratios of env and human steps to 90 %, and on how many tasks both are small enough."""
    lines = [
        "| task | person | success alone | baseline's | env steps to 90 %, ratio | human steps, ratio | reached |",
        "| --- | --- | --: | --: | --- | --- | --- |",
        *(
            f"| `{row['task']}` | `{row['person']}` | {_share(row['success'])} | {_share(row['their_success'])} | "
            f"{_ratio(row['env_steps'])} | {_ratio(row['human_steps'])} | {_yes(row['reached'])} |"
            for row in rows
        ),
    ]
    tasks = len({row["task"] for row in rows})
    counts = []
    for person in dict.fromkeys(row["person"] for row in rows):
        good = sum(row["reached"] for row in rows if row["person"] == person)
        counts.append(
            f"With `{person}` both ratios are at most {HALF:g} on {good} of {tasks} tasks (promised: {TASKS_OF_SIX})."
        )
    head = (
        "**Against the baseline**: what was spent until 90 % success alone, ours divided by the baseline's, same "
        "seeds. <= marks seeds in which the baseline never got there and counts with all its steps."
    )
    return "\n".join([head, "", *lines, "", *counts])


def degradation_text(rows: Sequence[Row]) -> str:
    """Return what the bad person costs."""
    lines = [f"| `{row['entry']}` | `{row['task']}` | {row['lost']:.0%} | {_yes(row['reached'])} |" for row in rows]
    head = (
        f"**A bad person** (noise, half a second late, three of ten corrections wrong): share of the final success "
        f"that is lost; promised: at most {DEGRADATION:.0%}."
    )
    return "\n".join([head, "", "| method | task | lost | reached |", "| --- | --- | --: | --- |", *lines])


def ablation_text(rows: Sequence[Row]) -> str:
    """Return what each term gains: over all tasks first, if there are several, then by task."""
    by_task = [row for row in rows if row["task"] != ALL]
    whole = [row for row in rows if row["task"] == ALL]
    head = (
        "**Terms**: what the default gains over itself without the term, paired by seed, with 95 % intervals: final "
        "success, and area under the human-cost curve. `earns`: an interval lies above 0; `costs`: below."
    )
    table = ["| without | task | person | success | area | |", "| --- | --- | --- | --- | --- | --- |"]
    lines = [
        f"| `{row['entry']}` | `{row['task']}` | `{row['person']}` | {_gains(row)} | {row['verdict']} |"
        for row in by_task
    ]
    return "\n".join([head, "", *(_over_all(whole, by_task) if whole else []), *table, *lines])


def _over_all(whole: Sequence[Row], by_task: Sequence[Row]) -> list[str]:
    """Return the terms by what they gain over all tasks together, and which of them earn their place."""
    table = ["| without | person | success | area | over all tasks | by task |"]
    table += ["| --- | --- | --- | --- | --- | --- |"]
    for row in whole:
        tasks: dict[str, list[str]] = {}
        for one in by_task:
            if (one["entry"], one["person"]) == (row["entry"], row["person"]) and one["verdict"] != "unclear":
                tasks.setdefault(one["verdict"], []).append(f"`{one['task']}`")
        told = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in tasks.items())
        table.append(f"| `{row['entry']}` | `{row['person']}` | {_gains(row)} | {row['verdict']} | {told} |")
    said = []
    for verdict, sentence in _OVER_ALL.items():
        names = [f"`{row['entry']}`" for row in whole if row["verdict"] == verdict]
        said += [f"- {len(names)} of {len(whole)} {sentence}: {', '.join(names)}."] if names else []
    return [*table, "", *said, ""]


def _members(rows: Sequence[Row]) -> str:
    """Return how many methods of both families were compared on each task."""
    counts = {row["task"]: (row["imitation_methods"], row["reinforcement_methods"]) for row in rows}
    same = len(set(counts.values())) == 1
    said = [f"{'' if same else f'`{task}`: '}{a} and {b}" for task, (a, b) in counts.items()]
    return "; ".join(dict.fromkeys(said))


def _ratio(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "never reached"
    bound = "<= " if found["censored"] else ""
    low, high = (("inf" if end is None else f"{end:.2f}") for end in found["interval"])
    value = "inf" if found["value"] is None else f"{found['value']:.2f}"
    return f"{bound}{value} [{low}, {high}]"


def _gains(row: Row) -> str:
    return f"{_gain(row['success'], row['success_ci95'])} | {_gain(row['area'], row['area_ci95'])}"


def _gain(value: float, interval: Sequence[float]) -> str:
    return f"{value:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"


def _best_of(value: float, best: float) -> str:
    return f"**{value:.2f}**" if value == best else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _yes(reached: bool) -> str:
    return "yes" if reached else "**no**"
