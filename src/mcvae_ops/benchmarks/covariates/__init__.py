"""Fig. 3B: technical covariates predicted from control cells."""
