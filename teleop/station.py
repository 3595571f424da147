"""Everything a person may drive with, as one device: who of several has the robot, and loss that stays loss."""

import threading
from collections.abc import Sequence
from dataclasses import replace

from robot_hil.clock import Clock
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.protocols import EpisodeAware, Feedback, Monitored, ProposalAware, TeleopDevice
from robot_hil.teleop.base import Mailbox

MAX_AGE_S = 0.15
Samples = Sequence[tuple[TeleopDevice, TeleopSample]]


class Station:
    """A `TeleopDevice` made of several.

    The first device that a person engages is the *pilot* until it is let go; the others are ignored meanwhile, but for
    their edges. Whoever pulled while another one drove must let go before it counts. `assistants` are devices of lower
    rank, e.g. a simulated person: a person's device takes over from them at once.

    A pilot that is lost while it drives makes the sample LOST, and stays pilot and lost, even when it comes back, until
    it works and was let go, or a person resumes while another device works: nothing that was buffered moves the robot.
    Idle devices may come and go; when none of the person's devices works any more the sample says so. A station without
    any device never drives; it passes on edges that are posted to it.

    `latest`, `begin_episode` and `observe_proposal` belong to the control loop's thread; `trouble` and `pump` may be
    called beside them by one that watches.
    """

    def __init__(
        self,
        devices: Sequence[TeleopDevice],
        clock: Clock,
        *,
        assistants: Sequence[TeleopDevice] = (),
        name: str = "station",
        max_age_s: float = MAX_AGE_S,
    ) -> None:
        self.devices = tuple(devices)
        self.assistants: tuple[TeleopDevice, ...] = ()
        self._all: tuple[TeleopDevice, ...] = ()
        self._clock, self._name, self._max_age = clock, name, max_age_s
        self._edges: Mailbox[None] = Mailbox(None)
        self._pilot: TeleopDevice | None = None
        self._lost = ""  # why the pilot was lost; it must be let go before anything counts again
        self._denied: set[str] = set()  # engaged while they may not drive; must let go first
        self._started = False
        self._resumed = False  # a person asked to go on, since the last `latest`
        self._pumping = threading.Lock()
        self.assist_by(*assistants)

    @property
    def name(self) -> str:
        return self._name

    @property
    def pilot(self) -> str:
        """Name of the device that drives, or was lost while it drove; empty for none. Any thread may ask."""
        pilot = self._pilot
        return pilot.name if pilot is not None else ""

    def assist_by(self, *assistants: TeleopDevice) -> None:
        """Exchange the assistants, between two episodes."""
        names = [device.name for device in (*self.devices, *assistants)]
        if len(set(names)) != len(names):
            raise ConfigError(f"the devices of a station need different names; got {names}.")
        self.assistants = assistants
        self._all = (*self.devices, *assistants)
        if self._pilot not in self._all:
            self._free()
        if self._started:
            for device in assistants:
                device.start()

    def start(self) -> None:
        for device in self._all:
            device.start()
        self._started = True

    def stop(self) -> None:
        self._started = False
        for device in self._all:
            device.stop()
        self._free()
        self._denied.clear()

    def begin_episode(self, seed: int) -> None:
        """Tell those who draw their luck anew."""
        for device in self._all:
            if isinstance(device, EpisodeAware):
                device.begin_episode(seed)

    def observe_proposal(self, action: Array) -> None:
        """Tell those who look at what the policy is about to do."""
        for device in self._all:
            if isinstance(device, ProposalAware):
                device.observe_proposal(action)

    def post(self, event: TeleopEvent) -> None:
        """Queue an edge that comes from elsewhere, e.g. a button of the console; any thread."""
        self._resumed |= event.kind is EventKind.RESUME
        self._edges.post(event)

    def pump(self) -> list[TeleopEvent]:
        """Take the devices' edges now, keep them for `drain_events`, and return the new ones; any thread."""
        with self._pumping:  # one after the other, so that edges stay in order
            events = [event for device in self._all for event in device.drain_events()]
            for event in events:
                self.post(event)
        return events

    def drain_events(self) -> list[TeleopEvent]:
        self.pump()
        return self._edges.drain()

    def trouble(self, now: float) -> str:
        """Say why the driving device cannot be trusted at `now`, or return an empty string; any thread.

        Looks at `info()` only: a device need not be asked for samples to be seen dying.
        """
        pilot = self._pilot
        if pilot is None or not isinstance(pilot, Monitored):
            return ""
        info = pilot.info()
        if info.status is not SampleStatus.OK:
            return info.problem or f"the device {info.name!r} is {info.status.value}"
        if info.age_s > self._max_age:
            return f"nothing was heard of the device {info.name!r} for {info.age_s:.2f} s"
        return ""

    def latest(self) -> TeleopSample:
        return self._look(self._all)

    def standby(self) -> TeleopSample:
        """As `latest`, of the person's devices alone: while the robot waits for a person, assistants have no say."""
        if self._pilot in self.assistants:
            self._free()
        return self._look(self.devices)

    def _look(self, devices: Sequence[TeleopDevice]) -> TeleopSample:
        now = self._clock.now()
        if not self._started:
            return self._nobody(SampleStatus.DISCONNECTED, now, "")
        self.pump()
        samples = [(device, self._checked(device, now)) for device in devices]
        self._forgive(samples)
        if self._pilot is not None:
            sample = self._follow_pilot(samples, now)
            if sample is not None:
                return sample
        for device, sample in samples:
            if sample.engaged and device.name not in self._denied:
                self._pilot = device
                self._deny_others(samples, device)
                return sample
        return self._idle(samples, now)

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        """Let the driving device vibrate, or all when nobody drives."""
        pilot = self._pilot
        for device in (pilot,) if pilot is not None else self._all:
            if isinstance(device, Feedback):
                device.pulse(hand, strength, seconds)

    def infos(self) -> list[DeviceInfo]:
        """Return what to show of each device, in their order; any thread."""
        return [device.info() for device in self._all if isinstance(device, Monitored)]

    # -- who drives --------------------------------------------------------------------------------------------------

    def _checked(self, device: TeleopDevice, now: float) -> TeleopSample:
        """Return the device's sample; LOST when it is too old."""
        sample = device.latest()
        age = now - sample.t
        if sample.status is SampleStatus.OK and not age <= self._max_age:
            problem = f"nothing was heard of the device {device.name!r} for {age:.2f} s"
            return replace(sample, status=SampleStatus.LOST, engaged=False, action=None, mask=None, problem=problem)
        return sample

    def _follow_pilot(self, samples: Samples, now: float) -> TeleopSample | None:
        """Return the pilot's sample while it drives or is lost; None once the seat is free."""
        pilot, resumed = self._pilot, self._resumed
        self._resumed = False
        sample = next(sample for device, sample in samples if device is pilot)
        if sample.status is not SampleStatus.OK:
            self._lost = sample.problem or f"the device {self.pilot!r} is {sample.status.value}"
            if resumed and self._others_rest(samples):
                self._free()
                return None
            return replace(sample, engaged=False, action=None, mask=None, problem=self._lost)
        if self._lost and sample.engaged:
            return self._nobody(SampleStatus.LOST, now, f"{self._lost}; it is back: let go of it, then resume")
        person = [sample.engaged for device, sample in samples if device in self.devices]
        outranked = pilot in self.assistants and any(person)
        if not self._lost and sample.engaged and not outranked:
            return sample
        self._free()
        return None

    def _free(self) -> None:
        self._pilot, self._lost = None, ""

    def _others_rest(self, samples: Samples) -> bool:
        """Whether another device of the person works and none is engaged: with it a person may go on."""
        rest = [s for device, s in samples if device is not self._pilot and device in self.devices]
        return any(s.status is SampleStatus.OK for s in rest) and not any(s.engaged for s in rest)

    def _forgive(self, samples: Samples) -> None:
        for device, sample in samples:
            if sample.status is SampleStatus.OK and not sample.engaged:
                self._denied.discard(device.name)

    def _deny_others(self, samples: Samples, pilot: TeleopDevice) -> None:
        for device, sample in samples:
            if device is not pilot and sample.engaged and device not in self.assistants:
                self._denied.add(device.name)

    def _idle(self, samples: Samples, now: float) -> TeleopSample:
        """Nobody drives: OK while a device of the person works, or, where there are none, an assistant."""
        asked = self.devices or self.assistants
        if not samples:
            return self._nobody(SampleStatus.OK, now, "")
        ranked = [sample for device, sample in samples if device in asked]
        working = [sample for sample in ranked if sample.status is SampleStatus.OK]
        if working:
            newest = max(working, key=lambda sample: sample.t)
            return replace(newest, engaged=False, action=None, mask=None)
        if self.devices and any(sample.status is SampleStatus.OK for _, sample in samples):
            return self._nobody(SampleStatus.OK, now, "")
        worst = next((s for s in ranked if s.status is SampleStatus.LOST), ranked[0])
        problem = worst.problem or "no device works: connect one"
        return self._nobody(worst.status, now, problem)

    def _nobody(self, status: SampleStatus, now: float, problem: str) -> TeleopSample:
        return TeleopSample(status=status, t=now, device=self._name, problem=problem)
