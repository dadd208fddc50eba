"""From cells to profiles: means per guide and gene, their normalisation, tests and export."""
