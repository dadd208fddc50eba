"""Classical features: measured with cp-measure, and the baselines made of them."""
