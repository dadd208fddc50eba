"""Statistics that several benchmarks share, and the table of estimates that all of them write."""
