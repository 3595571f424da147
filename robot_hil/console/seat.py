"""The pilot's seat: one page drives, and only as long as it gives signs of life."""

from dataclasses import dataclass

from robot_hil.clock import Clock


@dataclass
class _Page:
    heard: float
    waits: bool


class Seat:
    """Who holds the seat, who waits for it. Pages are known by their random names.

    A page that wants the seat gets it when it is free, in the order of asking. The holder loses it by giving it back,
    leaving, being silent for `lease_s`, or when another page takes it. A page that fell silent waits at the end of the
    line: should it come back and nobody else wants the seat, it is the pilot again, and has to engage anew.
    """

    def __init__(self, clock: Clock, lease_s: float = 2.0) -> None:
        self.holder: str | None = None
        self._clock = clock
        self._lease_s = lease_s
        self._pages: dict[str, _Page] = {}

    def join(self, page: str, wants: bool) -> None:
        """A page is there; `wants` the seat or only watches."""
        self._pages[page] = _Page(self._clock.now(), wants)
        self._fill()

    def heard(self, page: str) -> None:
        """The page gave a sign of life."""
        known = self._pages.get(page)
        if known is not None:
            known.heard = self._clock.now()
            if self.holder is None:
                self._fill()

    def ask(self, page: str, want: bool, take: bool) -> None:
        """The page wants the seat, or gives it back; `take` moves whoever has it to the end of the line."""
        if page not in self._pages:
            return
        self._pages[page].waits = want
        if not want and self.holder == page:
            self.holder = None
        elif want and take and self.holder != page:
            former, self.holder = self.holder, page
            if former is not None:
                self._to_the_end(former)
        self._fill()

    def leave(self, page: str) -> None:
        """The page is gone."""
        self._pages.pop(page, None)
        if self.holder == page:
            self.holder = None
        self._fill()

    def tick(self) -> None:
        """Look at the time; call it several times per second."""
        if self.holder is not None and not self._lives(self.holder):
            former, self.holder = self.holder, None
            self._to_the_end(former)
        self._fill()

    def _fill(self) -> None:
        if self.holder is None:
            self.holder = next((name for name, page in self._pages.items() if page.waits and self._lives(name)), None)

    def _lives(self, page: str) -> bool:
        return self._clock.now() - self._pages[page].heard <= self._lease_s

    def _to_the_end(self, page: str) -> None:
        self._pages[page] = self._pages.pop(page)
