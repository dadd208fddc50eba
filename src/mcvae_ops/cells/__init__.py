"""Cells: tables of cells and features per well, and the measurement of features."""
