"""Agents in torch."""
