"""One job of every subject, and what users pick for it today.

A contest gives the same data to both sides. What is timed is the call alone; how good its result is
is measured afterwards, against a truth that neither side has seen.
"""

import _contests_spaces
import _contests_tables
import _contests_text


def contests():
    """Yield every contest."""
    for room in (_contests_tables, _contests_text, _contests_spaces):
        yield from room.contests()
