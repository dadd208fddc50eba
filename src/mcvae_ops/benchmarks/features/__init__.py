"""Fig. 4D, 4E: classical features that a group of genes alters most."""
