"""Fig. 4D, 4E: the classical features that groups of genes alter most."""
