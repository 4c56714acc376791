"""Policies fitted by self-play."""
