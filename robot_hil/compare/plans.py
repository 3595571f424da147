"""The comparisons by name. The methods are those there are: a new one takes part by itself."""

from collections.abc import Callable

from robot_hil.compare.plan import Plan
from robot_hil.errors import UnknownNameError
from robot_hil.methods import registry

SMALL = ("--agent.hidden", "64", "64", "--learner.batch-size", "128")
"""The toy tasks need no more, and a run is minutes instead of an hour."""
LOG_BY = "anchored"


def smoke() -> Plan:
    """All methods within the hour."""
    return Plan(
        name="smoke",
        purpose="every method, small: within an hour on two cores",
        entries=_methods(clone_updates=700),
        persons=("competent", "sixty_percent", "thirty_percent"),
        tasks={"peg_slot": 1200, "reach_pillar": 700},
        seeds=(0, 1),
        options=(*SMALL, "--demos", "10"),
        points=5,
        trials=10,
        rounds=300,
        log_by=LOG_BY,
        minutes=57.0,
    )


def methods() -> Plan:
    """All methods at length."""
    return Plan(
        name="methods",
        purpose="every method at length: more persons, seeds and steps",
        entries=_methods(),
        persons=("competent", "sixty_percent", "thirty_percent", "delayed", "noisy", "tired", "poor"),
        tasks={"peg_slot": 3000, "reach_pillar": 3000},
        seeds=(0, 1, 2, 3, 4),
        options=(*SMALL, "--demos", "20"),
        points=12,
        trials=20,
        rounds=3000,
        log_by=LOG_BY,
    )


def default() -> Plan:
    """What an experiment does by default against HIL-SERL."""
    return Plan(
        name="default",
        purpose="what an experiment does by default, against HIL-SERL with the same person, seeds and demonstrations",
        entries={"default": (), "hil_serl": ("--method", "hil_serl")},
        persons=("competent", "poor"),
        tasks=SIX_TASKS,
        seeds=(0, 1, 2, 3, 4),
        task_options=dict.fromkeys(TOYS, SMALL),
        points=15,
        trials=20,
    )


def ablation() -> Plan:
    """The default less one of its terms.

    With the bad person alone, and on tasks that take seconds: many seeds say more than many conditions. The tasks ask
    for different things: precision, a grasp that must come first, and to unlearn what the person gets wrong.
    """
    return Plan(
        name="ablation",
        purpose="the default less one of its terms at a time, with a bad person",
        entries={"default": (), **{f"no_{term}": options for term, options in TERMS.items()}},
        persons=("poor",),
        tasks={"peg_slot": 2000, "peg_grip": 4000, "reach_pillar": 2500},
        seeds=(0, 1, 2, 3, 4),
        task_options=dict.fromkeys(TOYS, SMALL),
        points=10,
        trials=20,
    )


SIX_TASKS = {
    "peg_slot": 3000,
    "peg_two_slots": 6000,
    "peg_grip": 6000,
    "reach_pillar": 3000,
    "pick_cube_state": 3000,
    "peg_insertion_state": 5000,
}
"""Task -> online steps that both may make."""
TOYS = ("peg_slot", "peg_two_slots", "peg_grip", "reach_pillar")
TERMS = {
    "n_step": ("--method.n-step", "1"),
    "handover_cut": ("--method.no-cut-at-handover",),
    "demo_fading": ("--method.demo-share-end", "0.15", "--method.demo-share", "0.15"),
    "intervention_share": ("--method.intervention-share", "0"),
    "reaction_cost": ("--method.reaction-cost", "0"),  # on peg_grip alone: the others' experiments have none
    "warm_start": ("--learner.clone-updates", "0"),
    "anchor": ("--agent.anchor", "0"),
    "anchor_fading": ("--agent.anchor-half-life", "0"),
    "anchor_filter": ("--agent.anchor-filter", "none"),
    "caution": ("--agent.caution", "0"),
    "actor_average": ("--agent.actor-average", "1"),
    "actors": ("--agent.actors", "1"),
    "clone_average": ("--agent.clone-average", "1"),
    "vector_gain": ("--agent.vector-gain", "0"),
    "action_gain": ("--agent.action-gain", "0"),
    "value_bounds": ("--agent.value-range", "-1000000", "1000000"),
    "subset": ("--agent.subset", "4"),
    "ensemble": ("--agent.ensemble", "2", "--agent.subset", "2"),
}
"""Term of the default that is on -> options that switch it off, or that leave the usual of RLPD in its place."""

PLANS: dict[str, Callable[[], Plan]] = {
    "smoke": smoke,
    "methods": methods,
    "default": default,
    "ablation": ablation,
}
CLAIMS = ("methods", "default", "ablation")
"""Those that take hours."""


def get(name: str) -> Plan:
    """Return the plan called `name`; raises `UnknownNameError` with the choices."""
    if name not in PLANS:
        raise UnknownNameError("comparison", name, PLANS)
    return PLANS[name]()


def _methods(clone_updates: int | None = None) -> dict[str, tuple[str, ...]]:
    """Return all methods; those that begin by imitating demonstrations do so for so many updates, if given."""
    fewer = ("--learner.clone-updates", str(clone_updates)) if clone_updates is not None else ()
    return {
        name: ("--method", name, *(fewer if registry.get(name).learner.get("clone_updates") != 0 else ()))
        for name in registry.names()
    }
