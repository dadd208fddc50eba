"""The model family: networks, priors, objective, and the way from counts to their input."""
