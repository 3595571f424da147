"""Rendered cameras: one renderer and GL context per environment and image size."""

import weakref
from typing import Any, Protocol

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.envs.mujoco.gl import cannot_render
from robot_hil.protocols import Frame


class Scene(Protocol):
    """What can be drawn: a model with its data, and its time."""

    mj: Any
    """The module `mujoco`."""
    model: Any
    data: Any

    def now(self) -> float:
        """Seconds."""
        ...


class Renderer:
    """Draws named cameras of a world; the GL context is made at the first picture."""

    def __init__(self, world: Scene, size: int) -> None:
        self._world = world
        self._size = size
        self._gl: Any = None

    def picture(self, camera: str) -> Array:
        """Return uint8 (size, size, 3)."""
        if self._gl is None:
            try:
                self._gl = self._world.mj.Renderer(self._world.model, self._size, self._size)
            except Exception as error:  # each GL library fails with errors of its own
                raise cannot_render(error) from error
            # At exit Python may take the GL library apart before the context; close it earlier.
            self._finalizer = weakref.finalize(self, self._gl.close)
        self._gl.update_scene(self._world.data, camera)
        image: Array = self._gl.render()
        return image

    def close(self) -> None:
        """Release the GL context; legal twice."""
        if self._gl is not None:
            self._finalizer()
            self._gl = None


class MujocoCamera:
    """A `Camera` looking at the world as it is now."""

    def __init__(self, world: Scene, renderer: Renderer, name: str) -> None:
        self._world, self._renderer, self._name = world, renderer, name

    def connect(self) -> None:
        """Nothing to open: the renderer opens its context at the first picture."""

    def latest(self) -> Frame:
        return Frame(image=np.ascontiguousarray(self._renderer.picture(self._name)), stamp=self._world.now())

    def close(self) -> None:
        self._renderer.close()
