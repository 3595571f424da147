"""Intervention learning: which data, with which weight, which reward. One file per published method."""
