"""Embeddings of cells: their columns, how they are read, and the baselines that no network made."""
