"""What the benchmarks share: the table of estimates, intervals, retrieval, classification."""
