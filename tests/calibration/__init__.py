"""Do p values and intervals mean what they say? Simulated data in which the truth is known."""
