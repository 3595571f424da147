"""Measure what comes from a browser: through the real console and the real link, as in a run, without a robot."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from robot_hil.cli.checks.base import Finding, Verdict
from robot_hil.cli.checks.measure import GROUP, PAGE, Say, Series, judge_series, limit, milliseconds, spread
from robot_hil.clock import Clock
from robot_hil.console.host import ConsoleHost
from robot_hil.console.link import RobotLink
from robot_hil.console.messages import FromPage, ToRobot, Welcome
from robot_hil.data.operator_input import Keys, Pad, XrFrame

NAMES: dict[type, str] = {Keys: "page, keyboard", Pad: "page, gamepad", XrFrame: "page, headset"}
_LOOK_S = 0.05


@dataclass(slots=True)
class Stream:
    """Reports of one kind."""

    made: Series = field(default_factory=Series)
    """When the page made them, on this machine's clock."""
    ages: list[float] = field(default_factory=list)
    """From the page to the robot's process [s]."""
    lost: int = 0
    last: tuple[str, int] = ("", -1)


class PageMeter:
    """Counts what pages send; `take` is called by the link's thread."""

    def __init__(self, clock: Clock) -> None:
        self.streams: dict[type, Stream] = defaultdict(Stream)
        self._clock = clock
        self._on = False

    def take(self, message: ToRobot) -> None:
        """Note a message."""
        if not isinstance(message, FromPage) or not isinstance(message.body, Keys | Pad | XrFrame):
            return
        stream, seq = self.streams[type(message.body)], message.body.seq
        client, before = stream.last
        stream.last = (message.client, seq)
        if self._on:
            stream.made.times.append(message.t_page)
            stream.ages.append(self._clock.now() - message.t_page)
            if client == message.client:
                stream.lost += max(0, seq - before - 1)

    def begin(self) -> None:
        """Count from now on; before, it is only noted who is there."""
        self._on = True


def page(host: str, port: int, clock: Clock, seconds: float, say: Say, wait_s: float = 120.0) -> Iterator[Finding]:
    """Serve the console, wait for a page, and measure what it sends."""
    meter = PageMeter(clock)
    welcome = Welcome(
        experiment="doctor", task="move, press keys, look around", cameras=[], control_hz=100.0, folder=""
    )
    link = RobotLink(welcome, meter.take)
    link.start()
    console = ConsoleHost(link.endpoint, None, host, port)
    try:
        console.start()
        say(f"Open {console.url} or, in a headset, {console.address('/xr')} - waiting up to {wait_s:.0f} s for it.")
        if not _until(lambda: bool(meter.streams), clock, wait_s):
            text, fix = f"no page spoke within {wait_s:.0f} s", "open the address above, click into the page"
            yield Finding(group=GROUP, name="page", verdict=Verdict.FAIL, text=text, fix=fix)
            return
        say(f"A page is there: use it for {seconds:g} s, all its devices.")
        clock.sleep_until(clock.now() + 1.0)  # a page that has just come is busy with itself
        meter.begin()
        clock.sleep_until(clock.now() + seconds)
    finally:
        console.stop()
        link.stop()
    yield from judge_page(meter)


def judge_page(meter: PageMeter) -> Iterator[Finding]:
    """Compare what came with the limits."""
    for kind, stream in meter.streams.items():
        name = NAMES[kind]
        yield from judge_series(f"{name}: reports", stream.made, PAGE)
        if stream.ages:
            p99, worst = (float(np.percentile(stream.ages, p)) for p in (99, 100))
            good = p99 <= PAGE.age_p99_s and worst <= PAGE.age_max_s
            text = f"{spread(stream.ages)} from page to robot; "
            text += f"allowed p99 {milliseconds(PAGE.age_p99_s)}, max {milliseconds(PAGE.age_max_s)}"
            yield limit(f"{name}: age", good, text, PAGE.advice)
        yield limit(f"{name}: lost reports", stream.lost == 0, f"{stream.lost}; allowed 0", PAGE.advice)


def _until(condition: Callable[[], bool], clock: Clock, seconds: float) -> bool:
    end = clock.now() + seconds
    while not condition():
        if clock.now() >= end:
            return False
        clock.sleep_until(clock.now() + _LOOK_S)
    return True
