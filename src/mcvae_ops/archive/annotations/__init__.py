"""Read what is known of the genes, in the formats in which it comes; match it with a library."""
