"""Rows of the table in docs/teleop.md, one module per part; `benchmarks/teleop.py` runs them."""
