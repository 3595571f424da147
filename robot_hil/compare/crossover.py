"""The crossover: with whom imitation is ahead of reinforcement learning, with whom behind, and what that comes from."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from statistics import fmean
from typing import Any

from robot_hil.compare.plan import Plan
from robot_hil.compare.rows import Seeds, family
from robot_hil.compare.statistics import mean_interval

FAMILIES = ("imitation", "reinforcement")
LEVEL = 0.005
"""Differences of mean success below that are none: half of what one trial in a hundred makes."""

Row = dict[str, Any]
_Successes = Mapping[tuple[str, str, int], float]
"""(person, method, seed) -> final success."""


def crossover(plan: Plan, found: Sequence[Seeds]) -> list[Row]:
    """Return for each task and person, in the plan's order, how much better imitation is than reinforcement learning.

    Compared are the means over all methods of a family, seed by seed, of the final success. Of a task's results only
    the largest block is taken that has every one of its methods with every one of its persons and seeds: what failed
    or was not run in one place would else shift a mean. A task that lacks a family has no rows.
    """
    rows = []
    for task in plan.tasks:
        known = {
            (one.person, one.entry, seed): measures.final.success
            for one in found
            if (one.task, one.way) == (task, "online")
            for seed, measures in one.results
        }
        persons = [person for person in plan.persons if any(key[0] == person for key in known)]
        methods, seeds = _block(plan, known, persons)
        if methods:
            rows += [{"task": task, "person": person, **_row(known, person, methods, seeds)} for person in persons]
    return rows


def explained(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say for each task where imitation loses or wins its lead, what a worse person costs each family, and who is best.

    Persons stand from the best to the worst. Nothing is said but what follows from the rows.
    """
    said = []
    for task in dict.fromkeys(row["task"] for row in rows):
        here = [row for row in rows if row["task"] == task]
        parts = [_where(here), *([_why(here)] if len(here) > 1 else []), _best(here)]
        said.append(f"`{task}`: {' '.join(parts)}")
    return said


def _block(plan: Plan, known: _Successes, persons: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return methods and seeds of the largest complete block with a method of each family; none where there is none."""
    best: tuple[list[str], list[int]] = ([], [])
    for count in range(len(plan.seeds), 0, -1):
        for seeds in combinations(plan.seeds, count):
            methods = [
                entry
                for entry in plan.entries
                if family(entry) and all((person, entry, seed) in known for person in persons for seed in seeds)
            ]
            whole = {family(entry) for entry in methods} == set(FAMILIES)
            if whole and len(methods) * count > len(best[0]) * len(best[1]):
                best = methods, list(seeds)
    return best


def _row(known: _Successes, person: str, methods: Sequence[str], seeds: Sequence[int]) -> Row:
    of = {name: [entry for entry in methods if family(entry) == name] for name in FAMILIES}
    means = {name: [fmean(known[person, entry, seed] for entry in of[name]) for seed in seeds] for name in FAMILIES}
    gains = [a - b for a, b in zip(*means.values(), strict=True)]
    row: Row = {name: fmean(values) for name, values in means.items()}
    row |= {"gain": fmean(gains), "gain_ci95": list(mean_interval(gains)), "seeds": list(seeds)}
    for name, entries in of.items():
        each = {entry: fmean(known[person, entry, seed] for seed in seeds) for entry in entries}
        top = max(each.values())
        row[f"best_{name}"] = {"methods": [entry for entry in entries if each[entry] == top], "success": top}
        row[f"{name}_methods"] = len(entries)
    return row


def _sign(row: Mapping[str, Any]) -> int:
    return 0 if abs(row["gain"]) < LEVEL else 1 if row["gain"] > 0 else -1


def _where(here: Sequence[Mapping[str, Any]]) -> str:
    """Say between which persons the lead changes, or that it does not."""
    apart = [row for row in here if _sign(row)]
    turns = [(a, b) for a, b in pairwise(apart) if _sign(a) != _sign(b)]
    if not turns:
        place = {1: "ahead", -1: "behind", 0: "level"}[_sign(apart[0]) if apart else 0]
        if len(here) == 1:
            return f"imitation is {place} with {_with(here[0])}, the only person here."
        whom = "every person" if len(apart) in (0, len(here)) else "every person that makes a difference"
        gains = [row["gain"] for row in here]
        return f"no crossover: imitation is {place} with {whom} ({min(gains):+.2f} to {max(gains):+.2f})."
    said = []
    for a, b in turns:
        ahead = ("ahead", "behind") if _sign(a) > 0 else ("behind", "ahead")
        between = here[here.index(a) + 1 : here.index(b)]
        level = f", level with {' and '.join(map(_with, between))}" if between else ""
        said.append(f"imitation is {ahead[0]} with {_with(a)}{level} and {ahead[1]} with {_with(b)}")
    unsure = any(row["gain_ci95"][0] <= 0 <= row["gain_ci95"][1] for turn in turns for row in turn)
    kind = "they cross" if _sign(turns[0][0]) > 0 else "they cross the other way round"
    return f"{kind}: {'; '.join(said)}{', though not with every seed' if unsure else ''}."


def _why(here: Sequence[Mapping[str, Any]]) -> str:
    """Say what the worst person costs each family, and what that has to do with the crossover."""
    best, worst = here[0], here[-1]
    lost = {name: best[name] - worst[name] for name in FAMILIES}
    numbers = (
        f"From `{best['person']}` to `{worst['person']}` the mean of imitation changes by {-lost['imitation']:+.2f}, "
        f"that of reinforcement learning by {-lost['reinforcement']:+.2f}"
    )
    nearer = lost["imitation"] - lost["reinforcement"]
    if abs(nearer) < LEVEL:
        return f"{numbers}: who helps makes no difference between them."
    if nearer < 0:
        return f"{numbers}: here imitation suffers less from a bad person."
    if _sign(best) > 0 > _sign(worst):
        return f"{numbers}: imitation suffers more from a bad person, and loses its lead by that."
    if _sign(best) > 0:
        return f"{numbers}: imitation suffers more from a bad person, but less than its lead of {best['gain']:.2f}."
    return f"{numbers}: imitation suffers more from a bad person, but has no lead with a good one that it could lose."


def _best(here: Sequence[Mapping[str, Any]]) -> str:
    said = []
    for row in here if len(here) < 3 else (here[0], here[-1]):
        names = [
            f"{name} by {_few(row[f'best_{name}']['methods'])} ({row[f'best_{name}']['success']:.2f})"
            for name in FAMILIES
        ]
        said.append(f"with `{row['person']}`, {' and '.join(names)}")
    return f"The best of each: {'; '.join(said)}."


def _few(methods: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in methods[:3])
    return shown + (f" and {len(methods) - 3} more" if len(methods) > 3 else "")


def _with(row: Mapping[str, Any]) -> str:
    return f"`{row['person']}` ({row['gain']:+.2f})"
