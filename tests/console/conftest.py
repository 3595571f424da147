"""A console with a robot's end, and pages that talk to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from browser import chromium, require
from page_desk import Desk
from serving import console_thread, robot_end


class Page:
    """A page's control connection: keeps all that it is told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self.welcome: dict[str, Any] = {}

    async def say(self, type_: str, **values: Any) -> None:
        await self.socket.send_json({"type": type_, **values})

    async def hear(self, type_: str, holds: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Return the next message of this type for which `holds`, also one that came while another was asked for."""
        async with asyncio.timeout(20):
            while True:
                for at, message in enumerate(self.told):
                    if message["type"] == type_ and holds(message):
                        del self.told[at]
                        return message
                self.told.append(await self.socket.receive_json())

    async def live(self) -> None:
        """Give signs of life, as pages do."""
        while True:
            await self.say("ping", t=-1)
            await asyncio.sleep(0.3)

    async def close_code(self) -> int | None:
        """Wait for the end of the connection; return why."""
        async with asyncio.timeout(20):
            async for _ in self.socket:
                pass
        return self.socket.close_code


class Browser:
    """What a browser would do, against one console."""

    def __init__(self, server: Any, session: aiohttp.ClientSession) -> None:
        self.server, self.http = server, session
        self.origin = f"{server.scheme}://127.0.0.1:{server.port}"
        self.token = server.config.token

    @asynccontextmanager
    async def socket(self, path: str = "/ws") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.http.ws_connect(self.origin + path, headers={"Origin": self.origin}, max_msg_size=0) as socket:
            yield socket

    @asynccontextmanager
    async def page(self, name: str = "ada", *, alive: bool = True, **hello: Any) -> AsyncIterator[Page]:
        """Open a page; it says nothing of its own accord unless it is `alive`."""
        async with self.socket() as socket:
            page = Page(socket)
            await page.say("hello", **({"token": self.token, "name": name} | hello))
            page.welcome = await page.hear("welcome")
            living = asyncio.create_task(page.live()) if alive else None
            try:
                yield page
            finally:
                if living is not None:
                    living.cancel()
                    await asyncio.gather(living, return_exceptions=True)

    def bearer(self, token: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.token}"}


@pytest.fixture
def robot() -> Iterator[Any]:
    with robot_end() as robot:
        yield robot


@pytest.fixture
def console(robot: Any) -> Iterator[Any]:
    with console_thread(link=robot.link.endpoint) as server:
        yield server


@pytest.fixture
def browse() -> Callable[..., Any]:
    """Run a coroutine function that takes a `Browser` of `server`; return its result."""

    def run(server: Any, work: Callable[[Browser], Coroutine[Any, Any, Any]], **session: Any) -> Any:
        async def all_of_it() -> Any:
            async with aiohttp.ClientSession(**session) as http:
                return await work(Browser(server, http))

        return asyncio.run(all_of_it())

    return run


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    require("chromium")
    with chromium() as running:
        yield running


@pytest.fixture
def desk(chrome: Any) -> Iterator[Desk]:
    """An operator's page that has not been opened yet; errors in it fail the test."""
    with robot_end() as robot, console_thread(link=robot.link.endpoint) as server:
        desk = Desk(chrome, robot, server)
        with desk.alive():
            yield desk
        desk.context.close()
        assert desk.errors == []
