"""Crops on disk: their format, index, splits, statistics, and the order in which they are read."""
