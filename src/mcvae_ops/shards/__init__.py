"""Crops on disk: format, index, splits, statistics, and the order in which training reads them."""
