"""Tasks of other people's suites in this project's form; they need the extra `suites`."""

METAWORLD = (
    "reach", "push", "pick-place", "door-open", "drawer-open", "drawer-close", "button-press-topdown",
    "peg-insert-side", "window-open", "window-close",
)  # fmt: skip
"""Tasks of Meta-World that have an id of their own here: its MT10."""
ADROIT = ("Door", "Hammer", "Pen", "Relocate")
"""Tasks of the Adroit hand."""
