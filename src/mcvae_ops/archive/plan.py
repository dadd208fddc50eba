"""What a run will cost, before it begins: files, bytes, disk, hours; by stage."""

import logging
import os
import shutil
import sys
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.addresses import inside, is_remote, local_path
from mcvae_ops.archive.costs import cell_seconds, embedding_rate, tile_seconds, training_rate
from mcvae_ops.archive.stream import groups_prefetched
from mcvae_ops.errors import InputError
from mcvae_ops.files import count_rows, read_frame, write_csv
from mcvae_ops.screen import folder_name, tile_numbers

logger = logging.getLogger(__name__)

COLUMNS = [
    "stage",
    "files",
    "fetch_bytes",
    "here_bytes",
    "write_bytes",
    "temporary_bytes",
    "hours",
    "gpu_hours",
    "from",
]
_FLOAT_BYTES, _COUNT_BYTES = 4, 2
_EMBEDDING_SPEEDUP = 2.0


def image_costs(left: pd.DataFrame, is_here: pd.Series, settings: dict) -> list[dict]:
    """Reckon the fetching of images: for what plates and wells share, and for the crops.

    Parameters
    ----------
    left
        Files table of the tiles that are still to be cropped.
    is_here
        Whether a file lies on this machine, row-aligned.
    settings
        The configuration.
    """
    archive, rate = settings["archive"], settings["plan"]["bandwidth_mb_per_s"] * 1e6
    away = left[~is_here]
    n_tiles = len(left[["plate", "well", "tile"]].drop_duplicates())
    first = _bytes_of_some(left, away, ["plate"], settings["alignment"]["consensus_tiles"])
    if light := settings["crop"]["illumination"]:
        first += _bytes_of_some(left, away, ["plate", "well"], light["tiles"])
    # A mirror gives the same files again to the crops; without one they are fetched twice.
    first = 0 if archive["keep_raw"] else first
    here_bytes, fetch_bytes = left["size_bytes"][is_here].sum(), away["size_bytes"].sum()
    files_of_tile = len(left) / max(n_tiles, 1)
    tile_bytes = left["size_bytes"].sum() / max(n_tiles, 1)
    held = (groups_prefetched(archive["streams"], round(files_of_tile)) + 1) * tile_bytes
    held *= _jobs(left, settings) if len(away) else 0
    return [
        _row("plate shifts", 0, first, 0, 0, 0, hours=first / rate / 3600,
             origin="alignment.consensus_tiles, crop.illumination"),
        _row("images", len(left), fetch_bytes, here_bytes,
             fetch_bytes if archive["keep_raw"] else 0, 0 if archive["keep_raw"] else held,
             hours=fetch_bytes / rate / 3600, origin="manifest, plan.bandwidth_mb_per_s"),
    ]  # fmt: skip


def feature_costs(parts: pd.DataFrame, settings: dict, n_cells: int, done: bool) -> dict:
    """Reckon the feature tables: fetched, cut up (uncompressed) and written by well."""
    remote = parts["address"].map(is_remote)
    sizes = parts["size_bytes"].fillna(0)
    fetch_bytes = 0 if done else int(sizes[remote].sum())
    here_bytes = int(sizes[~remote].sum())
    table_bytes = 0 if done else int(sizes.sum())
    rate = settings["plan"]["bandwidth_mb_per_s"] * 1e6
    origin = f"{len(parts)} parts, {n_cells} cells"
    return _row("features", len(parts), fetch_bytes, here_bytes, table_bytes,
                table_bytes, hours=fetch_bytes / rate / 3600, origin=origin)  # fmt: skip


def segmentation_costs(
    left: pd.DataFrame, is_here: pd.Series, settings: dict, n_cells: int, measured_s: float | None
) -> dict:
    """Reckon the cells that are found on images, and measured.

    Images are fetched for it, and once more for the crops, unless a mirror keeps them.

    Parameters
    ----------
    left
        Files table of the wells without such cells so far.
    is_here
        Whether a file lies on this machine, row-aligned.
    settings
        The configuration.
    n_cells
        Of these wells.
    measured_s
        Processor seconds per cell of this run so far; None takes ``plan.cell_s``.
    """
    keep_raw = settings["archive"]["keep_raw"]
    fetch_bytes = 0 if keep_raw else int(left["size_bytes"][~is_here].sum())
    cell_s, origin = _rate(measured_s, settings, "cell_s")
    n_wells = len(left[["plate", "well"]].drop_duplicates())
    jobs = max(1, min(os.cpu_count() or 1, n_wells))
    rate = settings["plan"]["bandwidth_mb_per_s"] * 1e6
    hours = fetch_bytes / rate / 3600 + n_cells * cell_s / 3600 / jobs
    again = "" if keep_raw or not fetch_bytes else ", fetched again for crops (archive.keep_raw)"
    return _row("features", len(left), fetch_bytes, hours=hours,
                origin=f"{n_cells} cells on images, {origin}{again}")  # fmt: skip


def crop_costs(
    left: pd.DataFrame, settings: dict, cells_left: int, measured_s: float | None
) -> dict:
    """Reckon the crops that are still to be written, and the time to make them.

    Parameters
    ----------
    left
        Files table of the tiles that are still to be cropped.
    settings
        The configuration.
    cells_left
        Their cells.
    measured_s
        Processor seconds per tile of this run so far; None takes ``plan.tile_s``.
    """
    crop, screen = settings["crop"], settings["screen"]
    cell_bytes = len(screen["channels"]) * crop["size_px"] ** 2 * _COUNT_BYTES
    n_tiles = len(left[["plate", "well", "tile"]].drop_duplicates())
    jobs = _jobs(left, settings)
    chunk_bytes = cell_bytes * cells_left * crop["tiles_per_chunk"] / max(n_tiles, 1)
    tile_s, origin = _rate(measured_s, settings, "tile_s")
    return _row("crops", n_tiles, 0, 0, cell_bytes * cells_left, jobs * chunk_bytes,
                hours=n_tiles * tile_s / 3600 / max(jobs, 1),
                origin=f"{cells_left} cells of {cell_bytes} B, {origin}, {jobs} jobs at a time",
                )  # fmt: skip


def model_costs(settings: dict, n_cells: int, results: Path, timings: Path) -> list[dict]:
    """Reckon what is left of training (half of each batch is control cells) and of embedding.

    Parameters
    ----------
    settings
        The configuration.
    n_cells
        Of the screen.
    results, timings
        Folders: models and embeddings that are there cost nothing, and say what others will.
    """
    models, shared = settings["models"], settings["training"]
    runs = [(name, seed) for name in models for seed in shared["seeds"]]
    here = [(f"{name}/{seed}", models[name]) for name, seed in runs]
    folders = results / "models", results / "embeddings"
    untrained = [
        m
        for path, m in here
        if not m.get("weights") and not (folders[0] / path / "weights.pt").exists()
    ]
    unread = [m for path, m in here if not (folders[1] / f"{path}.parquet").exists()]
    epochs = sum((shared | model["training"])["epochs"] for model in untrained)
    values = sum(
        model["salient_latent"]
        + model["background_latent"]
        + (shared | model["training"])["technical_latent"]
        for model in unread
    )
    train_rate, train_origin = _rate(training_rate(results), settings, "cells_per_s")
    embed_rate, embed_origin = embedding_rate(results, timings), "measured cells/s"
    if embed_rate is None:
        embed_rate = train_rate * _EMBEDDING_SPEEDUP
        embed_origin = f"cells/s, {_EMBEDDING_SPEEDUP:g} x training"
    train_hours = 2 * epochs * n_cells / train_rate / 3600
    embed_hours = len(unread) * n_cells / embed_rate / 3600
    return [
        _row("training", len(untrained), gpu_hours=train_hours, hours=train_hours,
             origin=f"{train_origin}, {epochs} epochs in all"),
        _row("embeddings", len(unread), write_bytes=values * n_cells * _FLOAT_BYTES,
             gpu_hours=embed_hours, hours=embed_hours,
             origin=f"{embed_origin}: {embed_rate:.0f}"),
    ]  # fmt: skip


def disk_peak_bytes(costs: pd.DataFrame) -> int:
    """Return what the disk must hold beyond what it holds now: all results, and the largest stage.

    The images of a crop job and its finished tiles exist together; the features are cut before.
    """
    temporary = costs.set_index("stage")["temporary_bytes"]
    crops = temporary["images"] + temporary["crops"]
    return int(costs["write_bytes"].sum() + max(temporary["features"], crops))


def plan(
    files: str,
    left_out: str,
    feature_parts: str | None,
    settings: dict,
    results: str,
    timings: str,
) -> None:
    """Rule plan: write and print ``plan.tsv`` in the folder `results`.

    Without tables of cells (`feature_parts` is None), these are found on the images.

    Rates that this run has shown so far, in `results` and in the folder of Snakemake's benchmark
    files `timings`, take the place of those of the configuration.

    Raises
    ------
    InputError
        If the disk cannot hold the run.
    """
    screen = settings["screen"]
    manifest = read_frame(files)
    n_cells, known = count_cells(manifest, settings, Path(results))
    tiles = manifest[["plate", "well", "tile"]].drop_duplicates()
    parts = None if feature_parts is None else read_frame(feature_parts)
    costs = costs_of(manifest, parts, settings, Path(results), Path(timings))
    peak, free = int(costs["temporary_bytes"].iloc[-1]), _free_bytes(Path(results))
    write_csv(costs, f"{results}/plan.tsv", "%.6g")
    wells = manifest[["plate", "well"]].drop_duplicates()
    lines = [
        f"{screen['name']}: {len(manifest):,} files, {len(tiles):,} tiles, {len(wells)} wells, "
        f"{manifest['size_bytes'].sum() / 1e12:.4g} TB; {n_cells:,} cells "
        f"({'counted' if known else 'plan.cells_per_tile'})",
        *_left_out_lines(left_out),
        *lines_of(costs),
        f"disk: at most {peak / 1e9:,.1f} GB needed, {free / 1e9:,.1f} GB free",
    ]
    for line in lines:
        logger.info("%s", line)
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    if peak > free:
        raise InputError(
            where=f"the disk of {results}",
            found=f"{free / 1e9:,.1f} GB free",
            expected=f"{peak / 1e9:,.1f} GB",
            fix="free some, run in a larger folder (snakemake --directory), or take fewer "
            "screen.plates or screen.tiles",
        )


def costs_of(
    manifest: pd.DataFrame,
    parts: pd.DataFrame | None,
    settings: dict,
    results: Path,
    timings: Path,
) -> pd.DataFrame:
    """Reckon every stage of what is left of a run.

    Parameters
    ----------
    manifest
        Files table of the screen.
    parts
        address and size_bytes of the tables of cells; None where cells are found on images.
    settings, results, timings
        See `plan`.

    Returns
    -------
    One row per stage, columns `COLUMNS`, and ``total``, whose temporary bytes are the peak on disk.
    """
    left = manifest[~_cropped(manifest, settings, results)]
    n_cells, known = count_cells(manifest, settings, results)
    tiles = manifest[["plate", "well", "tile"]].drop_duplicates()
    n_left = len(left[["plate", "well", "tile"]].drop_duplicates())
    rows = [
        *image_costs(left, _is_here(left, results / "archive" / "raw"), settings),
        _cell_costs(manifest, parts, settings, n_cells, known, results, timings),
        crop_costs(left, settings, round(n_cells * n_left / len(tiles)),
                   tile_seconds(results, timings)),
        *model_costs(settings, n_cells, results, timings),
    ]  # fmt: skip
    costs = pd.DataFrame(rows, columns=COLUMNS)
    total = _row("total", len(manifest), *costs[COLUMNS[2:5]].sum(), disk_peak_bytes(costs),
                 *costs[["hours", "gpu_hours"]].sum(), "temporary: disk peak")  # fmt: skip
    return pd.concat([costs, pd.DataFrame([total])], ignore_index=True)


def count_cells(manifest: pd.DataFrame, settings: dict, results: Path) -> tuple[int, bool]:
    """Return the number of cells, and whether it was counted in their tables or is reckoned."""
    plates = manifest["plate"].unique()
    tables = [results / "cells" / f"{folder_name(plate)}.parquet" for plate in plates]
    if all(table.exists() for table in tables):
        return sum(count_rows(table) for table in tables), True
    n_tiles = len(manifest[["plate", "well", "tile"]].drop_duplicates())
    return round(n_tiles * settings["plan"]["cells_per_tile"]), False


def _cell_costs(
    manifest: pd.DataFrame,
    parts: pd.DataFrame | None,
    settings: dict,
    n_cells: int,
    known: bool,
    results: Path,
    timings: Path,
) -> dict:
    if parts is not None:
        return feature_costs(parts, settings, n_cells, known)
    tables = [Path(results, "segmented", plate, f"{well}.parquet")
              for plate, well in zip(manifest["plate"], manifest["well"], strict=True)]  # fmt: skip
    left = manifest[[not table.exists() for table in tables]]
    cells_left = round(n_cells * len(left) / len(manifest))
    is_here = _is_here(left, Path(results, "archive", "raw"))
    measured_s = cell_seconds(results, timings)
    return segmentation_costs(left, is_here, settings, cells_left, measured_s)


def _cropped(manifest: pd.DataFrame, settings: dict, results: Path) -> pd.Series:
    """Tell the files of chunks whose crops are written."""
    tiles = tile_numbers(settings["screen"]["tiles"])
    size = settings["crop"]["tiles_per_chunk"]
    chunk_of = {tile: f"{k // size:03d}" for k, tile in enumerate(tiles)}
    chunks = pd.DataFrame(
        {"p": manifest["plate"], "w": manifest["well"], "c": manifest["tile"].map(chunk_of)}
    )
    folder = results / "crops"
    done = [
        (p, w, c)
        for p, w, c in chunks.drop_duplicates().itertuples(index=False)
        if (folder / p / w / f"{c}.dropped.parquet").exists()
    ]
    return pd.MultiIndex.from_frame(chunks).isin(done)


def _bytes_of_some(left: pd.DataFrame, away: pd.DataFrame, by: list[str], n_some: int) -> int:
    """Return the bytes to fetch for some tiles of each plate or well."""
    n_tiles = left.drop_duplicates(["plate", "well", "tile"]).groupby(by).size()
    share = (n_some / n_tiles).clip(upper=1)
    return int((away.groupby(by)["size_bytes"].sum() * share).fillna(0).sum())


def _is_here(files: pd.DataFrame, mirror: Path) -> pd.Series:
    remote = files["address"].map(is_remote)
    mirrored = mirror.exists()
    here = [
        mirrored and (mirror / inside(path)).is_file() if away else local_path(address).is_file()
        for address, path, away in zip(files["address"], files["path"], remote, strict=True)
    ]
    return pd.Series(here, index=files.index, dtype=bool)


def _jobs(left: pd.DataFrame, settings: dict) -> int:
    """Return how many chunks are cropped at a time on this machine."""
    n_tiles = len(left[["plate", "well", "tile"]].drop_duplicates())
    n_chunks = -(-n_tiles // settings["crop"]["tiles_per_chunk"])
    return min(os.cpu_count() or 1, n_chunks)


def _rate(measured: float | None, settings: dict, key: str) -> tuple[float, str]:
    """Return what was measured or else configured, and where it comes from, in words."""
    if measured is None:
        return settings["plan"][key], f"plan.{key}"
    return measured, f"measured {measured:.3g} for plan.{key}"


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.absolute().parent
    return shutil.disk_usage(folder).free


def _row(
    stage, files, fetch=0, here=0, write_bytes=0, temporary=0, hours=0.0, gpu_hours=0.0, origin=""
) -> dict:
    return dict(zip(COLUMNS, (stage, int(files), int(fetch), int(here), int(write_bytes),
                              int(temporary), hours, gpu_hours, origin), strict=True))  # fmt: skip


def _left_out_lines(left_out: str) -> list[str]:
    table = pd.read_csv(left_out, sep="\t")
    return [
        f"left out: {row.n_files:,} files, {row.kind} (as {row.example})"
        for row in table.itertuples()
    ]


def lines_of(costs: pd.DataFrame) -> list[str]:
    """Return costs as lines of a table in text."""
    head = f"{'stage':<13}{'files':>9}{'fetch GB':>12}{'here GB':>11}{'write GB':>11}"
    head += f"{'temp. GB':>10}{'hours':>9}{'GPU h':>8}  from"
    lines = [head]
    for row in costs.to_dict("records"):
        giga = [row[key] / 1e9 for key in COLUMNS[2:6]]
        lines.append(
            f"{row['stage']:<13}{row['files']:>9,}{giga[0]:>12,.1f}{giga[1]:>11,.1f}"
            f"{giga[2]:>11,.1f}{giga[3]:>10,.1f}{row['hours']:>9,.1f}{row['gpu_hours']:>8,.2f}"
            f"  {row['from']}"
        )
    return lines
