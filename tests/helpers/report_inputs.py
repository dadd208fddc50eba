"""A small run's tables and figures, for tests of the report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mcvae_ops.benchmarks.claims import COLUMNS
from mcvae_ops.figures.draw import draw_figure
from mcvae_ops.report.gene_pictures import NUMBERS, write_picture
from mcvae_ops.workflow.panel_inputs import panel_settings, panel_values
from mcvae_ops.workflow.panels import PANELS, TABLES
from tests.helpers import figure_tables
from tests.helpers.configurations import checked, merged

ROOT = Path(__file__).parents[2]
CONFIGURATION = checked(merged("config"))
PLATES = CONFIGURATION["screen"]["plates"]


def write_tables(folder: Path) -> dict[str, str]:
    """Write every table that panels read; return name -> path."""
    paths = {}
    for name, make in figure_tables.TABLES.items():
        place = folder / "mcvae" / "0" if TABLES[name].per_training else folder
        place.mkdir(parents=True, exist_ok=True)
        paths[name] = str(place / f"{name}.parquet")
        make().to_parquet(paths[name])
    return paths


def draw(panel: str, tables: dict[str, str], folder: Path, published: str | None = None) -> dict:
    """Draw one panel from its tables and settings, and no others; return kind -> path."""
    targets = {kind: str(folder / f"{panel}.{kind}") for kind in ("pdf", "svg", "png", "csv")}
    read = [tables[name] for name in PANELS[panel].tables]
    settings = panel_settings(CONFIGURATION, panel)
    draw_figure(panel, read, panel_values(published, panel), settings, **targets)
    return targets


def write_qc(folder: Path) -> dict:
    """Write alignment, dropped, index, splits and metrics; return the report's arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(0), []
    for plate, wells in PLATES.items():
        for well in wells:
            for tile in range(21):
                failed = (well, tile) == ("A1", 3)
                for channel, shift in (("A594", 7.0), ("AF750", 11.0), ("DAPI", 0), ("GFP", 0)):
                    consensus = channel == "AF750" and tile % 3 == 0
                    rows.append(
                        {
                            "plate": plate, "well": well, "tile": tile, "channel": channel,
                            "dy_px": shift, "dx_px": shift / 2,
                            "confidence": rng.uniform(0.6, 1),
                            "method": "reference" if shift == 0
                            else "consensus" if consensus else "measured",
                            "passed": not failed, "reason": "file truncated" if failed else "",
                        }
                    )  # fmt: skip
    pd.DataFrame(rows).to_parquet(folder / "alignment.parquet")
    checks = pd.DataFrame(
        {
            "plate": next(iter(PLATES)), "well": "A1", "tile": range(6), "check": "planted shift",
            "channel": "A594", "against": "DAPI", "error_px": [0.1, 0.1, 0.1, 3, 4, 5],
            "confidence": [0.9] * 5 + [0.2],
        }
    )  # fmt: skip
    checks.to_parquet(folder / "known_shifts.parquet")
    dropped = pd.DataFrame(
        {
            "plate": next(iter(PLATES)), "well": "A1", "tile": [0, 1, 3],
            "reason": ["window leaves the tile", "window leaves the tile", "tile failed"],
            "n_cells": [9, 11, 118],
        }
    )  # fmt: skip
    dropped.to_parquet(folder / "dropped.parquet")
    plate = next(iter(PLATES))
    rows = pd.DataFrame({
        "plate": ["", plate, plate, plate],
        "reason": ["of other plates or wells", "used", "without a position", "listed twice"],
        "n_rows": [300, 2138, 62, 3], "n_listed": [300, 2203, 2203, 2203],
        "is_lost": [False, False, True, False],
    })  # fmt: skip
    rows.to_csv(folder / "cell_rows.tsv", sep="\t", index=False)
    columns = pd.DataFrame({
        "table": "cells", "column": ["well", "lamp", "area"], "is_feature": [False, True, True],
        "reason": ["named under columns", None, None], "variance_between_wells": [None, 1.0, 0.1],
    })  # fmt: skip
    columns.to_csv(folder / "features.tsv", sep="\t", index=False)
    n = 2000
    index = pd.DataFrame(
        {
            "cell_id": [f"cell{k}" for k in range(n)],
            "plate": np.repeat(list(PLATES), n // 2),
            "well": np.tile(["A1", "A2", "B1", "B2"], n // 4),
            "guide": [f"ACGT{k % 384}" for k in range(n)],
            "gene": [f"GENE{k % 96}" for k in range(n)],
            "is_ntc": np.arange(n) % 10 == 0,
        }
    )
    index.to_parquet(folder / "index.parquet")
    split = np.array(["train", "train", "train", "test", "held_out_guide"])[np.arange(n) % 5]
    pd.DataFrame({"cell_id": index["cell_id"], "split": split}).to_parquet(
        folder / "splits.parquet"
    )
    paths = [str(write_metrics(folder, model, 0)) for model in CONFIGURATION["models"]]
    names = ("alignment", "known_shifts", "dropped", "index", "splits")
    tables = {name: str(folder / f"{name}.parquet") for name in names}
    lists = {"row_counts": "cell_rows.tsv", "feature_list": "features.tsv"}
    lists = {name: str(folder / file) for name, file in lists.items()}
    return tables | lists | {"metrics": paths}


def write_metrics(folder: Path, model: str, seed: int) -> Path:
    """Write the metrics of one training: three validations."""
    rows = []
    for epoch, elbo in ((1, 2100.0), (2, 1900.0), (3, 1880.0)):
        rows.append(
            {"step": 100 * epoch, "epoch": epoch, "phase": "train", "negative_elbo": elbo}
            | {"cells_per_s": 1234.0, "loader_wait_share": 0.02}
            | {"tiles_per_batch": 58.0, "wells_per_batch": 8.0}
        )
        validated = {"phase": "validation", "kl_z": 40.0, "active_units_z": 12}
        if model != "vae":
            validated |= {"kl_s": 20.0, "active_units_s": 9, "mean_abs_s_ntc": 0.3}
            validated |= {"mean_abs_s_perturbed": 0.7, "nats_without_s": 150.0}
        if model == "cvae":
            validated |= {"nats_without_s": 4.0}
        rows.append({**rows[-1], "negative_elbo": elbo + 20, **validated})
    path = folder / "models" / model / str(seed) / "metrics.parquet"
    path.parent.mkdir(parents=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


def write_pictures(folder: Path, genes: list[str]) -> str:
    """Write the explorer's picture of each gene, four grey channels of 8 px; return the folder."""
    folder.mkdir()
    for number in range(len(genes)):
        levels = np.arange(4 * 2 * 8 * 5 * 8, dtype=np.uint32).reshape(4 * 2 * 8, 5 * 8) % 256
        write_picture(Image.fromarray(levels.astype(np.uint8)), folder, number)
    (folder / NUMBERS).write_text(json.dumps({gene: k for k, gene in enumerate(genes)}))
    return str(folder)


def write_altered(path: Path) -> str:
    """Write the features that two hits alter; return the path."""
    rows = [
        ("GENE0", "", 1, "DAPI_Intensity_MeanIntensity", 2.34, 8),
        ("GENE0", "", 2, "GFP_contrast_3_00_256", -1.52, 8),
        ("GENE0", "", 3, "AF750_Intensity_StdIntensity", 1.1, 8),
        ("GENE1", "", 1, "DAPI_Intensity_MeanIntensity", -1.0, 8),
    ]
    columns = ["gene", "guide", "rank", "feature", "robust_z", "n_batches"]
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    return str(path)


def write_claims(path: Path) -> None:
    """Write three claims, one of each verdict."""
    found = {
        "C1": ("mcVAE recovers more of CORUM than cVAE", 0.01, -0.03, 0.05, "undecided"),
        "C2": ("combined recovers more than each space", 0.06, 0.02, 0.09, "holds"),
        "C4": ("salient predicts batch worst", -0.05, -0.08, -0.01, "does not hold"),
        "C7": ("the relative norm beats the index", np.nan, np.nan, np.nan, "undecided"),
    }
    rows = [
        (claim, statement, estimate, low, high, 1, "all", "8 batches", verdict, "how it was tested")
        for claim, (statement, estimate, low, high, verdict) in found.items()
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(path, sep="\t", index=False)


def write_licences(path: Path) -> None:
    """Write the licences of two annotations."""
    path.write_text(
        "source\taddress\tlicence\tnon_commercial\tused\n"
        "corum\thttps://example.org/corum\tCC BY-NC 4.0\tTrue\tTrue\n"
        "reactome\thttps://example.org/reactome\tCC0\tFalse\tTrue\n"
    )


def write_matched(path: Path) -> None:
    """Write how much of two lists is known: all of one, little of the other."""
    path.write_text(
        "list\tn_symbols\tn_known\tn_by_alias\tn_ambiguous\tunknown\treason\twarning\n"
        "corum\t12\t12\t1\t0\t\t\t\n"
        "mitotic_factors\t9\t2\t0\t0\tAurka, Plk1\t7 in another case\tmitotic_factors: only 2 of 9 "
        "symbols\n"
    )


def write_timings(folder: Path) -> None:
    """Write benchmark files of a rule with one job and of one with two."""
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    line = "{}\t0:00:10\t{}\t1\t1\t1\t1\t1\t1\t1\n"
    (folder / "train_model" / "mcvae").mkdir(parents=True)
    (folder / "complexes.tsv").write_text(head + line.format(12.5, 310.0))
    (folder / "train_model" / "mcvae" / "0.tsv").write_text(head + line.format(61.0, 900.0))
    (folder / "train_model" / "mcvae" / "1.tsv").write_text(head + line.format(59.0, "-"))
