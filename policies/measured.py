"""Which backend learns faster where both are installed: what `--backend auto` takes.

Set by what `benchmarks/learner_speed.py` and `benchmarks/backends.py` measured on two cores of an AVX2 processor on
2026-11-22 (results/learner_speed.json): products of matrices and what surrounds them, which jax fuses, took jax 0.65
to 0.92 of torch's time; convolutions that are trained took it twice as long.
"""

FASTER = {"products": "jax", "convolutions": "torch"}
"""What most of an update is -> backend, on the CPU."""
FASTER_ON_GPU = "jax"
"""One compiled call per round, as a GPU wants it; not measured, as no GPU was at hand."""
