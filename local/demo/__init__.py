"""``make demo``: 200 jobs through a stack of its own, an outage, a replay, and the sums checked at the end."""
