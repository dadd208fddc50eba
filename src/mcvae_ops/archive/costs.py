"""What the stages of a run took so far, from the tables and the timings that it leaves."""

from pathlib import Path

import pandas as pd

from mcvae_ops.files import count_rows, read_frame


def training_rate(results: Path) -> float | None:
    """Return the median cells/s of the models trained so far, None before the first."""
    tables = sorted((results / "models").glob("*/*/metrics.parquet"))
    rates = [read_frame(table, columns=["cells_per_s"])["cells_per_s"] for table in tables]
    rate = pd.concat(rates).median() if rates else float("nan")
    return None if pd.isna(rate) else float(rate)


def embedding_rate(results: Path, timings: Path) -> float | None:
    """Return the cells/s of the embeddings made so far, start and end of the jobs included."""
    n_cells, seconds = 0, 0.0
    for table in sorted((results / "embeddings").glob("*/*.parquet")):
        jobs = sorted((timings / "embed_cells" / table.parent.name / table.stem).glob("*.tsv"))
        if jobs:
            n_cells += count_rows(table)
            seconds += sum(_of_job(job, "s") for job in jobs)
    return n_cells / seconds if seconds else None


def tile_seconds(results: Path, timings: Path) -> float | None:
    """Return the processor seconds per tile of the chunks cropped so far."""
    n_tiles, seconds = 0, 0.0
    for timing in sorted((timings / "crop_chunk").glob("*/*/*.tsv")):
        plate, well = timing.parts[-3:-1]
        table = results / "alignment" / plate / well / f"{timing.stem}.parquet"
        if table.exists():
            n_tiles += read_frame(table, columns=["tile"])["tile"].nunique()
            seconds += _of_job(timing, "cpu_time")
    return seconds / n_tiles if seconds and n_tiles else None


def cell_seconds(results: Path, timings: Path) -> float | None:
    """Return the processor seconds per cell of the wells that were segmented so far."""
    n_cells, seconds = 0, 0.0
    for timing in sorted((timings / "segment_cells").glob("*/*.tsv")):
        table = results / "segmented" / timing.parent.name / f"{timing.stem}.parquet"
        if table.exists():
            n_cells += count_rows(table)
            seconds += _of_job(timing, "cpu_time")
    return seconds / n_cells if seconds and n_cells else None


def _of_job(timing: Path, column: str) -> float:
    """Return what Snakemake's benchmark file says of a job; 0 where it was too short to say."""
    values = pd.to_numeric(pd.read_csv(timing, sep="\t")[column], errors="coerce")
    return float(values.fillna(0).sum())
