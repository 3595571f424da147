"""Comparison of methods: what is run, what of it is measured, and the tables and pictures that show it."""
