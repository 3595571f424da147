"""The console's web server: one page, the VR page, their WebSockets, and an e-stop by HTTP."""

import asyncio
import contextlib
import errno
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from aiohttp import WSCloseCode, web

from robot_hil.clock import Clock
from robot_hil.console.address import console_url, is_loopback
from robot_hil.console.auth import Origins, Tokens, new_token
from robot_hil.console.client import OPEN, serve_control
from robot_hil.console.hub import Hub
from robot_hil.console.pages import add_page
from robot_hil.console.review import Review, add_routes
from robot_hil.console.video import Video
from robot_hil.errors import ConfigError, StorageError, TransportError
from robot_hil.report.summary import WINDOW

_log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
DEFAULT_PORT = 8443
CERTIFICATE_PERIOD_S = 60.0
_BODY_BYTES = 16_384
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class ConsoleConfig:
    """What a console serves and to whom."""

    token: str = field(default_factory=new_token, repr=False)
    """Whoever has it may drive."""
    link: str = ""
    """Endpoint of the robot's `RobotLink`; empty: the one that `folder` names, if the robot runs."""
    folder: Path | None = None
    """The run folder whose metrics and episodes are shown."""
    host: str = "127.0.0.1"
    """Interface to listen on; one that is not loopback needs `tls`."""
    port: int = DEFAULT_PORT
    """0 takes any free one."""
    tls: bool | tuple[Path, Path] = False
    """Serve https: with this installation's own certificate, or with a chain and a key of yours."""
    pages: Mapping[str, Path] = field(default_factory=dict)
    """Further pages: path such as `/xr` -> folder with an `index.html`."""
    origins: tuple[str, ...] = ()
    """Further origins under which pages reach this console, e.g. `https://robot.example.org` of a proxy."""

    def __post_init__(self) -> None:
        if not self.tls and not is_loopback(self.host):
            raise ConfigError(
                f"the console serves {self.host} only with TLS, else anyone on the network could read the token. "
                f"Turn TLS on, or use host 127.0.0.1 and a tunnel (e.g. `adb reverse tcp:{self.port} tcp:{self.port}`)."
            )
        if len(self.token) < 16:
            raise ConfigError(
                f"the console's token has {len(self.token)} characters; use at least 16, or leave it out."
            )


class ConsoleServer:
    """Serves `config` from `start` to `stop`, in the caller's event loop. The constructor does not act.

    `extra_routes(app)` adds routes under `/api/`, which all need the token.
    """

    def __init__(
        self, config: ConsoleConfig, *, extra_routes: Callable[[web.Application], object] | None = None,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.config = config
        self.hub = Hub(config.link, config.folder, clock)
        self.video = Video(self.hub.clock)
        self.hub.on_frames = self.video.receive
        self.port = config.port
        """Where it listens; known after `start`."""
        self._extra_routes = extra_routes
        self._tokens = Tokens(config.token)
        self._origins = Origins(self.scheme, config.origins)
        self._open: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def scheme(self) -> str:
        """Either http or https."""
        return "https" if self.config.tls else "http"

    def url(self, page: str = "/", *, observer: bool = False) -> str:
        """Return the address to open, with the token in the part that browsers never send."""
        token = self._tokens.observer if observer else self._tokens.pilot
        return console_url(self.config.host, self.port, bool(self.config.tls), token, page)

    async def start(self) -> None:
        """Listen; legal twice. Raises `TransportError` when the port is taken."""
        if self._runner is not None:
            return
        context = self._context()
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, self.config.host, self.config.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            hint = "Choose another port." if error.errno == errno.EADDRINUSE else "Choose another host or port."
            raise TransportError(
                f"the console cannot listen on {self.config.host}:{self.config.port}: {error.strerror or error}. {hint}"
            ) from error
        self.port = int(runner.addresses[0][1])
        self._runner = runner
        self._work = asyncio.create_task(self._run(context))

    async def _run(self, context: ssl.SSLContext | None) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.hub.run())
            if context is not None and self.config.tls is True:
                group.create_task(_keep_certificate(context))

    async def wait(self) -> None:
        """Wait until the console fails; raises what it failed of."""
        assert self._work is not None
        await asyncio.shield(self._work)

    async def stop(self) -> None:
        """Close everything; legal twice."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for socket in tuple(self._open):
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(1.0):
                    await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the console ends")
        await runner.cleanup()
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        self.video.close()

    def _context(self) -> ssl.SSLContext | None:
        from robot_hil.console.tls import own_certificate, server_context

        tls = self.config.tls
        if not tls:
            return None
        chain, key = own_certificate() if isinstance(tls, bool) else tls
        return server_context(chain, key)

    # -- requests --------------------------------------------------------------------------------------------------

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_BYTES, middlewares=[self._guard])
        app[OPEN] = self._open
        app.router.add_get("/ws", self._control)
        app.router.add_get("/video", self._video)
        app.router.add_post("/api/estop", self._estop)
        app.router.add_get("/ca.crt", self._authority)
        if self.config.folder is not None:
            review = Review(self.config.folder)
            self.hub.on_label = review.label
            self.hub.takeovers = lambda: takeovers_of(review)
            add_routes(app, review, self._authorised)
        if self._extra_routes is not None:
            self._extra_routes(app)
        add_page(app, "/", STATIC, files="/static")
        for path, folder in self.config.pages.items():
            add_page(app, path, folder)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse strangers and put the headers of safety on every answer."""
        try:
            self._check(request)
            response = await handler(request)
        except web.HTTPException as answer:
            self._headers(request, answer)
            raise
        if not response.prepared:
            self._headers(request, response)
        return response

    def _check(self, request: web.Request) -> None:
        local = (request.transport.get_extra_info("sockname") if request.transport else None) or ("",)
        if not self._origins.knows_host(request.host, str(local[0])):
            raise web.HTTPMisdirectedRequest(text=f"{request.host} is no name of this machine.\n")
        origin = request.headers.get("Origin")
        if request.path in ("/ws", "/video") and not self._origins.allows(origin, request.host):
            raise web.HTTPForbidden(text="Only pages of this console may connect.\n")
        if request.path.startswith("/api/"):
            if origin is not None and not self._origins.allows(origin, request.host):
                raise web.HTTPForbidden(text="Only pages of this console may ask.\n")
            if not self._authorised(request):
                raise web.HTTPUnauthorized(
                    text="Wrong or missing token. Send `Authorization: Bearer TOKEN`; the console's link has it.\n",
                    headers={"WWW-Authenticate": "Bearer"},
                )

    def _authorised(self, request: web.Request) -> bool:
        return self._tokens.role_of_header(request.headers.get("Authorization", "")) is not None

    def _headers(self, request: web.Request, response: web.StreamResponse) -> None:
        socket = f"{'wss' if self.config.tls else 'ws'}://{request.host}"
        response.headers["Content-Security-Policy"] = (
            f"default-src 'self'; connect-src 'self' {socket}; img-src 'self' blob: data:; media-src 'self' blob:; "
            "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Server"] = "robot-hil"

    async def _control(self, request: web.Request) -> web.StreamResponse:
        return await serve_control(request, self.hub, self._tokens)

    async def _video(self, request: web.Request) -> web.StreamResponse:
        return await self.video.serve(request, self._tokens)

    async def _estop(self, request: web.Request) -> web.Response:
        """Stop the robot; whoever has a token may."""
        reason = "e-stop by HTTP"
        with contextlib.suppress(ValueError, msgspec.DecodeError):
            body = msgspec.json.decode(await request.read() or b"{}")
            if isinstance(body, dict) and isinstance(body.get("reason"), str):
                reason = f"{reason}: {body['reason'][:400]}"
        ack = await self.hub.edges.stop_robot(reason, who="http")
        if ack is None:
            answer = {"ok": False, "reason": "the robot's process did not answer: use the hardware stop"}
            return web.json_response(answer, status=503)
        return web.json_response({"ok": ack.ok, "reason": ack.reason})

    async def _authority(self, request: web.Request) -> web.Response:
        """Hand out the certificate of this installation's authority, for headsets that want to know it; no secret."""
        from robot_hil.console.tls import authority_certificate

        text = authority_certificate()
        if self.config.tls is not True or text is None:
            raise web.HTTPNotFound(text="This console has no certificate of its own.\n")
        return web.Response(body=text, content_type="application/x-x509-ca-cert")


async def _keep_certificate(context: ssl.SSLContext) -> None:
    """Renew the certificate when this machine gets a new address or it nears its end; new connections see it."""
    from robot_hil.console.tls import own_certificate

    while True:
        await asyncio.sleep(CERTIFICATE_PERIOD_S)
        try:
            chain, key = await asyncio.to_thread(own_certificate)
            context.load_cert_chain(chain, key)
        except (ConfigError, OSError) as error:
            _log.warning("the certificate cannot be renewed: %s", error)


async def takeovers_of(review: Review) -> list[int]:
    """Return at which steps the person took over in the newest trials; empty when the log cannot be read."""
    try:
        episodes = await review.in_thread(lambda: review.listed(2 * WINDOW))
    except StorageError:
        return []
    trials = [episode for episode in episodes if episode["phase"] == "train" and episode["complete"]]
    return [int(stretch[0]) for episode in trials[:WINDOW] for stretch in episode["interventions"]]
