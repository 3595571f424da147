"""The simulated persons of a run: one who demonstrates and one who helps, who are the same person and tire together."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.operator import Operator
from robot_hil.clock import Clock
from robot_hil.protocols import TeleopDevice

if TYPE_CHECKING:
    import gymnasium

    from robot_hil.experiments.base import Experiment
    from robot_hil.teleop.simulated.person import SimulatedPerson


class Persons:
    """Nobody at all in an experiment without a person."""

    def __init__(
        self, experiment: "Experiment", env: "gymnasium.Env[Any, Any]", clock: Clock, *, recovers: bool = False,
        adds: float = 0.0,
    ) -> None:  # fmt: skip
        self._demonstrator = compose.make_person(experiment, env, clock, demonstrates=True)
        self._helper = compose.make_person(experiment, env, clock, recovers=recovers, adds=adds)

    def come_when(self, called: Callable[[], bool]) -> None:
        """Let who helps take over while `called` says so, too."""
        if self._helper is not None:
            self._helper.come_when(called)

    def start(self) -> None:
        """Wake them; legal twice."""
        for person in self._present:
            person.start()

    def stop(self) -> None:
        """Send them home; legal twice."""
        for person in self._present:
            person.stop()

    def state(self) -> dict[str, int]:
        """Return how much the person has worked; empty without one."""
        states = [person.state() for person in self._present]
        return {name: sum(state[name] for state in states) for name in (states[0] if states else ())}

    def restore(self, state: dict[str, int]) -> None:
        """Let the person be as tired as `state` said."""
        if state and self._helper is not None and self._demonstrator is not None:
            self._helper.restore(state)
            self._demonstrator.restore(dict.fromkeys(state, 0))

    def device(self, stream: Stream, operator: "Operator | None") -> "TeleopDevice | None":
        """Return what drives in `stream`; with an operator the simulated person, if any, is the assistant."""
        demo = stream is Stream.DEMO
        if operator is None:
            return self._demonstrator if demo else self._helper if stream is Stream.TRAIN else None
        person = self._demonstrator if demo else self._helper
        station = operator.station
        station.assist_by(*(() if person is None else (person,)))
        return station

    @property
    def _present(self) -> "list[SimulatedPerson]":
        return [person for person in (self._demonstrator, self._helper) if person is not None]
