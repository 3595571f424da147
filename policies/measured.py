"""Which backend learns faster where both are installed: what `--backend auto` takes.

Set by what `benchmarks/backends.py` measured; the figures, with machine and date, are in its results.
"""

FASTER: dict[str, str] = {"AnchoredConfig": "torch", "HilSerlConfig": "torch", "BcConfig": "torch"}
"""Type of an agent's configuration -> backend, on the CPU."""
FASTER_ON_GPU = "jax"
"""One compiled call per round, as a GPU wants it; not measured, as no GPU was at hand."""
