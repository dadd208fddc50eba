"""Open the results of a run in Python."""
