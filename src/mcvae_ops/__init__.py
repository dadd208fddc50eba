"""Optical pooled screens, from archive accession to benchmark figures."""

__version__ = "0.1.0"
