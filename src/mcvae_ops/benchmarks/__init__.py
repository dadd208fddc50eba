"""Benchmarks of the learnt spaces, each under the published and under a strict protocol."""
