#!/usr/bin/env bash
# The package itself, from the checkout in which Snakemake runs.
set -euo pipefail
pip install --no-deps --editable .
