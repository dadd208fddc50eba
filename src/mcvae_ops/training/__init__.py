"""From shards to weights, and from weights to the embedding of every cell."""
