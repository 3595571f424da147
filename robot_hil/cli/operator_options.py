"""What `--teleop` and `--console` ask for; apart, so that a command line is read without loading a device."""

from dataclasses import dataclass

from robot_hil.actor.adversary import Schedule


@dataclass(frozen=True, kw_only=True)
class OperatorOptions:
    """Who operates a run."""

    teleop: tuple[str, ...] = ()
    mode: str = "takeover"
    residual_gain: float = 0.3
    rac: bool = False
    adversary: Schedule | None = None
    facing: float = 0.0
    """[rad]."""
    console: bool = False
    console_host: str = "127.0.0.1"
    console_port: int = 8443

    @property
    def wanted(self) -> bool:
        """Whether there is an operator at all."""
        return bool(self.teleop) or self.console


NOBODY = OperatorOptions()
