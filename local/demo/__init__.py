"""``make demo``: 200 jobs through a stack of its own, an outage, a replay, and the books balanced at the end."""
