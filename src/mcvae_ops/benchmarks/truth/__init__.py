"""Fig. S6: what was planted in a simulated screen, read back from latent spaces."""
