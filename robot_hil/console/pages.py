"""Static pages: files of known kinds from one folder, and nothing else."""

import asyncio
from pathlib import Path

from aiohttp import web

_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_MINIMAL = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>robot_hil</title><p>No page is installed here.</html>"
)


def add_page(app: web.Application, path: str, folder: Path, files: str | None = None) -> None:
    """Serve `folder/index.html` at `path/`, and files of known kinds below `files`, by default below `path`.

    Never a listing, never a file outside of `folder`.
    """
    path = "/" + path.strip("/")

    async def index(_: web.Request) -> web.StreamResponse:
        return await _file(folder, "index.html", _MINIMAL)

    async def file(request: web.Request) -> web.StreamResponse:
        return await _file(folder, request.match_info["name"])

    async def move(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(path + "/")  # browsers keep the part behind `#`

    if path == "/":
        app.router.add_get("/", index)
    else:
        app.router.add_get(path, move)
        app.router.add_get(path + "/", index)
    app.router.add_get((files or path) + "/{name:.+}", file)


async def _file(folder: Path, name: str, otherwise: str | None = None) -> web.StreamResponse:
    """Return a file; it is read whole, because pages are small."""
    root = folder.resolve()
    path = (root / name).resolve()
    kind = _TYPES.get(path.suffix)
    if kind is None or not path.is_relative_to(root) or not path.is_file():
        if otherwise is None:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return web.Response(text=otherwise, content_type="text/html")
    charset = "utf-8" if kind.startswith("text/") or kind.endswith("json") else None
    return web.Response(body=await asyncio.to_thread(path.read_bytes), content_type=kind, charset=charset)
