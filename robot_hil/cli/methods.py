"""`robot-hil methods`: one line each."""

from collections.abc import Sequence

from robot_hil.errors import UnknownNameError
from robot_hil.methods import registry


def methods(argv: Sequence[str]) -> int:
    """Print name, family, what a log must hold, what the method does and its source."""
    if argv and argv[0] not in ("-h", "--help"):
        raise UnknownNameError("option", argv[0], ["--help"])
    found = {name: registry.get(name) for name in registry.names()}
    width = max(map(len, found))
    for name, method in found.items():
        needs = ", ".join(method.needs) or "any log"
        print(f"{name:<{width}}  {method.family:<13}  {method.title} ({method.source}); needs {needs}")
    print("\nLearn by one: `robot-hil train EXPERIMENT --method NAME`, or from what a run has recorded: `robot-hil")
    print("relearn RUN --method NAME`. docs/methods.md says more of each.")
    return 0
