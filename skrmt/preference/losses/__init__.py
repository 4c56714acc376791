"""Losses of preference optimisation."""
