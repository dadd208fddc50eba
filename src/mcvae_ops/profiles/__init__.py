"""Profiles of guides and genes: aggregation of cells, batch correction, tests and export."""
