"""Fig. S2: how well batches mix, judged by control cells."""
