"""One exception tree: a message says what was wrong, the value, what is allowed and what to do."""

from collections.abc import Iterable


class RobotHilError(Exception):
    """Base of every error this project raises on purpose; the CLI prints it without a traceback."""


class ConfigError(RobotHilError):
    """A setting, option or name that cannot work."""


class UnknownNameError(ConfigError):
    """A name that is not among the known ones."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        super().__init__(f"{kind} {name!r} does not exist. Choose one of: {', '.join(sorted(choices))}.")


class SpecError(RobotHilError):
    """An array or a peer that does not match the declared specification."""


class SafetyError(RobotHilError):
    """The safety gate refused a command or is latched; only a person clears it, with a reason."""


class OperatorAbsentError(SafetyError):
    """The robot waited for a person who did not come."""


class TransportError(RobotHilError):
    """A connection, key or message that cannot be used."""


class StorageError(RobotHilError):
    """A log or checkpoint that cannot be written or read."""


class DependencyError(RobotHilError):
    """A library or driver that is needed here and missing; the message names what to install."""
