"""The model family: networks, priors, objective, and preprocessing of counts."""
