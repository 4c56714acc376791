"""Linear classification with real and synthetic rows."""
