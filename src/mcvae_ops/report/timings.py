"""Time and memory of each rule, from the files of Snakemake's directive `benchmark:`."""

from pathlib import Path

import pandas as pd

COLUMNS = ["rule", "jobs", "total_s", "longest_s", "peak_memory_mb"]


def read_timings(folder: str) -> pd.DataFrame:
    """Return one row per rule, sorted by total time, longest first.

    Parameters
    ----------
    folder
        Folder with ``{rule}.tsv`` of rules with one job and ``{rule}/...tsv`` of other rules. It
        need not exist.
    """
    root, rows = Path(folder), []
    for path in sorted(root.rglob("*.tsv")):
        rule = path.relative_to(root).parts[0].removesuffix(".tsv")
        table = pd.read_csv(path, sep="\t", na_values=["-"])
        rows += [(rule, job["s"], job["max_rss"]) for _, job in table.iterrows()]
    jobs = pd.DataFrame(rows, columns=["rule", "s", "max_rss"])
    rules = jobs.groupby("rule", as_index=False).agg(
        jobs=("s", "size"),
        total_s=("s", "sum"),
        longest_s=("s", "max"),
        peak_memory_mb=("max_rss", "max"),
    )
    return rules.sort_values("total_s", ascending=False)[COLUMNS].reset_index(drop=True)
