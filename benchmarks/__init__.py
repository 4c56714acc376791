"""Benchmarks: each file runs as a script, and its ``Time*`` classes under asv."""

import sys
from pathlib import Path

# The files import one another as the modules that they are when run as scripts.
sys.path.insert(0, str(Path(__file__).parent))
