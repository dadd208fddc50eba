"""Compare the resources that jobs requested with those that they used.

Snakemake writes the used resources of a job to the file of its directive `benchmark:`.
"""

import ast
import math
from pathlib import Path

import pandas as pd

from mcvae_ops.errors import InputError

MARGIN = 2.0
"""A request should be at least this multiple of the largest measured use."""

SNAKEMAKE_MB = 500
"""Memory of the processes of Snakemake in a cluster job, which the files do not include."""


def read_jobs(folder: str) -> pd.DataFrame:
    """Return rule, requested_mb, used_mb, requested_min, used_min of every job below `folder`.

    Raises
    ------
    InputError
        If there is no file with Snakemake's extended columns.
    """
    rows = []
    for path in sorted(Path(folder).rglob("*.tsv")):
        for job in pd.read_csv(path, sep="\t", na_values=["-"]).to_dict("records"):
            # Memory is not measured for jobs of less than a second.
            if "resources" in job and not math.isnan(job["max_rss"]):
                asked = ast.literal_eval(job["resources"])
                used = job["max_rss"] + SNAKEMAKE_MB, job["s"] / 60
                rows.append((job["rule_name"], asked["mem_mb"], used[0], asked["runtime"], used[1]))
    if not rows:
        raise InputError.missing(
            where=folder,
            what="a finished job with its resources",
            why="only jobs run with --benchmark-extended record them",
            fix="run with --workflow-profile workflow/profiles/default or .../slurm",
        )
    columns = ["rule", "requested_mb", "used_mb", "requested_min", "used_min"]
    return pd.DataFrame(rows, columns=columns)


def compare_requests(jobs: pd.DataFrame) -> pd.DataFrame:
    """Return the maxima of each rule, the number of its jobs, and advice on its memory."""
    rules = jobs.groupby("rule").max()
    rules.insert(0, "jobs", jobs.groupby("rule").size())
    pairs = zip(rules["requested_mb"], MARGIN * rules["used_mb"], strict=True)
    rules["advice"] = [_advice(*pair) for pair in pairs]
    return rules.sort_values("used_mb", ascending=False).round(1).reset_index()


def _advice(requested_mb: float, least_mb: float) -> str:
    wanted_mb = 500 * math.ceil(least_mb / 500)
    if requested_mb < wanted_mb:
        return f"ask for {wanted_mb} MB"
    return f"{wanted_mb} MB would be enough" if requested_mb > 2 * wanted_mb else ""


def print_resources(timings: str) -> None:
    """Print the requested and the used resources of each rule.

    Parameters
    ----------
    timings
        Folder of the files of time and memory of a screen.
    """
    print(compare_requests(read_jobs(timings)).to_string(index=False))
