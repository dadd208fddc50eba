"""Pages about a run: the report and the explorer."""
