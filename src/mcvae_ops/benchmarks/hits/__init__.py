"""The table of hits: what each gene does, how surely, and what could mimic it."""
