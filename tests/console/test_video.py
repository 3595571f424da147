"""Camera images to pages over real sockets: content, back-pressure, newest wins."""

import asyncio
import json
import struct
from typing import Any

import cv2
import numpy as np
from serving import console_thread, robot_end, until

from robot_hil.console.link import LINK_FILE
from robot_hil.console.video import MAX_IN_FLIGHT


def picture(shade: int) -> np.ndarray:
    """An image whose left half is of one colour and whose right half is black."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32] = (shade, 20, 200)
    return image


async def watch(browser, socket, cameras: list[str]) -> None:
    await socket.send_json({"type": "hello", "token": browser.token})
    await socket.send_json({"type": "watch", "cameras": cameras})


async def image_of(socket) -> tuple[dict[str, Any], np.ndarray]:
    blob = await socket.receive_bytes(timeout=20)
    (size,) = struct.unpack_from("<I", blob)
    header = json.loads(blob[4 : 4 + size])
    return header, cv2.cvtColor(cv2.imdecode(np.frombuffer(blob[4 + size :], np.uint8), 1), cv2.COLOR_BGR2RGB)


def test_images_arrive_as_they_are(console, robot, browse) -> None:
    async def look(browser):
        async with browser.socket("/video") as socket:
            await watch(browser, socket, ["front"])
            await asyncio.to_thread(until, lambda: robot.link.watched == {"front"})
            robot.link.show({"front": picture(100)}, 12.5)
            header, image = await image_of(socket)
            assert (header["camera"], header["t"]) == ("front", 12500.0)
            assert header["now"] > 0
            np.testing.assert_allclose(image[8:40, 4:24].reshape(-1, 3).mean(0), (100, 20, 200), atol=6)
            await socket.send_json({"type": "ping", "t": 1})
            assert (await socket.receive_json(timeout=20))["type"] == "pong"
        await asyncio.to_thread(until, lambda: not robot.link.watched)

    browse(console, look)


def test_a_viewer_that_does_not_draw_gets_two_and_then_the_newest(console, robot, browse) -> None:
    async def look(browser):
        async with browser.socket("/video") as socket:
            await watch(browser, socket, ["front"])
            await asyncio.to_thread(until, lambda: robot.link.watched)
            seen = []
            for shade in range(MAX_IN_FLIGHT):
                robot.link.show({"front": picture(shade)}, float(shade))
                seen.append((await image_of(socket))[0])
            taken = browser.server.video._cameras["front"]
            for shade in range(3, 8):
                before = taken.seq
                robot.link.show({"front": picture(shade)}, float(shade))
                await asyncio.to_thread(until, lambda before=before: taken.seq > before)
            await socket.send_json({"type": "ping", "t": 1})
            assert (await socket.receive_json(timeout=20))["type"] == "pong"  # and no image before it
            await socket.send_json({"type": "got", "camera": "front", "seq": seen[0]["seq"]})
            assert (await image_of(socket))[0]["t"] == 7000.0

    browse(console, look)


def test_what_two_watch_is_encoded_once(console, robot, browse, monkeypatch) -> None:
    from robot_hil.console import video

    encoded = []

    def counted(image, encode=video.encode):
        encoded.append(image)
        return encode(image)

    monkeypatch.setattr(video, "encode", counted)

    async def look(browser):
        async with browser.socket("/video") as one, browser.socket("/video") as two:
            for socket in (one, two):
                await watch(browser, socket, ["front"])
            viewers = browser.server.video._viewers
            await asyncio.to_thread(until, lambda: sum("front" in viewer.cameras for viewer in tuple(viewers)) == 2)
            await asyncio.to_thread(until, lambda: robot.link.watched)
            robot.link.show({"front": picture(3)}, 1.0)
            assert (await image_of(one))[0]["seq"] == (await image_of(two))[0]["seq"]

    browse(console, look)
    assert len(encoded) == 1


def test_cameras_of_a_robot_that_starts_anew_are_seen(tmp_path, browse) -> None:
    async def look(browser):
        for shade in (50, 150):
            with robot_end() as robot:
                (tmp_path / LINK_FILE).write_text(robot.link.endpoint)
                await asyncio.to_thread(until, lambda: robot.heard)
                async with browser.socket("/video") as socket:
                    await watch(browser, socket, ["front"])
                    await asyncio.to_thread(until, lambda: robot.link.watched)
                    robot.link.show({"front": picture(shade)}, 1.0)
                    assert abs(float((await image_of(socket))[1][8:40, 4:24, 0].mean()) - shade) < 6

    with console_thread(folder=tmp_path) as server:
        browse(server, look)


def test_only_cameras_that_are_watched_are_asked_for(console, robot, browse) -> None:
    async def look(browser):
        async with browser.socket("/video") as one, browser.socket("/video") as two:
            await watch(browser, one, ["front"])
            await watch(browser, two, ["front", "wrist"])
            await asyncio.to_thread(until, lambda: robot.link.watched == {"front", "wrist"})
            await two.send_json({"type": "watch", "cameras": []})
            await asyncio.to_thread(until, lambda: robot.link.watched == {"front"})
            await two.send_json({"type": "watch", "cameras": ["nothing"] * 9})  # too many: ignored
            await two.send_str("nonsense")
            await two.send_json({"type": "ping", "t": 1})
            assert (await two.receive_json(timeout=20))["type"] == "pong"

    browse(console, look)
