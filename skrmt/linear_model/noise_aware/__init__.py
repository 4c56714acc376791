"""Linear classification with noisy labels."""
