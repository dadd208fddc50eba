"""Fig. 4B, 4C: functional groups of genes, predicted from profiles."""
