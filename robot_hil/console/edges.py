"""Buttons and words on their way to the robot: who gets the answer, and e-stops that are repeated until they arrive."""

import asyncio
import contextlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from robot_hil.clock import Clock
from robot_hil.console.messages import Ack, FromPage, ToRobot
from robot_hil.data.operator_input import Button, Words

RESEND_S = 0.05
GIVE_UP_S = 2.0
_REMEMBERED = 256

Send = Callable[[ToRobot], Awaitable[bool]]
"""Sends to the robot now, or not at all; returns whether it went."""


class Edges:
    """Belongs to the console's event loop."""

    def __init__(self, send: Send, clock: Clock) -> None:
        self._send, self._clock = send, clock
        self._asked: OrderedDict[str, str] = OrderedDict()
        self._acked: dict[str, asyncio.Future[Ack]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def forward(self, message: FromPage) -> bool:
        """Pass on a button or words, and remember which page to answer; return whether it is on its way."""
        assert isinstance(message.body, Button | Words)
        self._asked[message.body.id] = message.client
        while len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)
        sent = await self._send(message)
        if isinstance(message.body, Button) and message.body.kind == "estop":
            self._insist(message.body.id, message)
        return sent

    async def stop_robot(self, reason: str, who: str) -> Ack | None:
        """E-stop without a page; return the robot's answer, None when it gave none within `GIVE_UP_S`."""
        number = f"http-{secrets.token_hex(8)}"
        now = self._clock.now()
        body = Button(id=number, kind="estop", reason=reason)
        message = FromPage(body, client="http", operator=who, pilot=False, t_recv=now, t_page=now)
        await self._send(message)
        acked = self._insist(number, message)
        await asyncio.wait([acked])
        return None if acked.cancelled() else acked.result()

    def answered(self, ack: Ack) -> str:
        """Return which page to give the robot's answer to: the one that asked last, which may have reconnected."""
        waiting = self._acked.get(ack.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(ack)
        return self._asked.get(ack.id, ack.client)

    async def close(self) -> None:
        """Stop repeating."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _insist(self, number: str, message: FromPage) -> "asyncio.Future[Ack]":
        """Repeat an e-stop until the robot acknowledges it, whatever becomes of the page; else it is cancelled."""
        if number not in self._acked:
            self._acked[number] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._repeat(number, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._acked[number]

    async def _repeat(self, number: str, message: FromPage) -> None:
        acked = self._acked[number]
        try:
            for _ in range(round(GIVE_UP_S / RESEND_S)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(acked), RESEND_S)
                    return
                await self._send(message)
        finally:
            acked.cancel()
            del self._acked[number]
