"""Configuration, panels, names and jobs: what the Snakefile, rules and scripts import."""
