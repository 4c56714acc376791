"""Stochastic gradient descent in stages."""
