"""Train models on shards, and embed every cell with them."""
