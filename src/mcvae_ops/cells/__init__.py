"""Cells: their tables, one per well, and their classical features."""
