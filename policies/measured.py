"""Which backend learns faster where both are installed: what `--backend auto` takes.

Set by what `benchmarks/learner_speed.py` and `benchmarks/backends.py` measured on two cores of an AVX2 processor
(benchmarks/results): jax fuses what surrounds products of matrices, and trains convolutions more slowly than torch.
"""

FASTER = {"products": "jax", "convolutions": "torch"}
"""What most of an update is -> backend, on the CPU."""
FASTER_ON_GPU = "jax"
"""One compiled call per round, as a GPU wants it; not measured, as no GPU was at hand."""
