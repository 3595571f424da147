"""The methods by name: the name of a file in this folder that holds a `METHOD`. There is no list to keep."""

from importlib import import_module
from pkgutil import iter_modules

from robot_hil import methods
from robot_hil.errors import UnknownNameError
from robot_hil.methods.published import Published


def names() -> tuple[str, ...]:
    """Return the names of all methods, sorted."""
    return tuple(sorted(name for _, name, _ in iter_modules(methods.__path__) if _method(name) is not None))


def get(name: str) -> Published:
    """Return the method called `name`; raises `UnknownNameError` with the choices."""
    known = {found for _, found, _ in iter_modules(methods.__path__)}
    method = _method(name) if name in known else None
    if method is None:
        raise UnknownNameError("method", name, names())
    return method


def _method(name: str) -> Published | None:
    found: Published | None = getattr(import_module(f"{methods.__name__}.{name}"), "METHOD", None)
    return found
