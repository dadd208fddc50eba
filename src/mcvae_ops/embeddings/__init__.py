"""Embeddings of cells: their columns, their reading, and baselines without a network."""
