"""Fig. 2: protein complexes found by the distances of profiles."""
