"""Policies fitted to pairwise comparisons."""
