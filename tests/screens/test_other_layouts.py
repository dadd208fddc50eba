"""Other screens from archive to report, by configuration alone: channels, files, axes, bits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from mcvae_ops.shards.format import open_shard
from tests.helpers.runs import snakemake, tiny_configuration, write_configuration

PANELS = ["fig1", "fig3b", "fig4b", "figqc2", "figqc3", "figqc4"]
ONE_FILE = [("DNA", "DNA", "both"), ("actin", "phalloidin", "both")]
SIX_FILES = [
    ("DNA", "DNA", "c1"),
    ("H2AX", "gamma-H2AX", "c2"),
    ("tubulin", "alpha-tubulin", "c3"),
    ("actin", "phalloidin", "c4"),
    ("ER", "concanavalin A", "c5"),
    ("mitochondria", "MitoTracker", "c6"),
]


def two_channels_in_one_file(config: dict) -> None:
    config["screen"]["images"] = "screenA/{plate}/{well}/{tile}.tif"
    config["screen"]["channels"] = channels_of(ONE_FILE)
    config["alignment"]["measure"] = {}


def six_files_of_8_bits(config: dict) -> None:
    config["screen"]["images"] = "screenA/{plate}/{channel}/{well}_{tile}.tif"
    config["screen"]["channels"] = channels_of(SIX_FILES)
    config["alignment"] |= {
        "binning": 1,
        "measure": {
            "H2AX": "DNA", "ER": "DNA", "tubulin": "ER", "actin": "ER", "mitochondria": "ER",
        },
    }  # fmt: skip
    simulate = config["simulate"]
    simulate["cell"] |= {
        "dna_counts": 110.0, "haze_counts": 30.0, "focus_counts": 90.0, "tubulin_counts": 95.0,
        "actin_counts": 75.0, "organelle_counts": 75.0,
    }  # fmt: skip
    simulate["optics"] |= {
        "bits": 8, "offset_counts": 8.0, "offset_sd_counts": 1.0, "background_counts": 2.0,
        "photons_per_count": 8.0, "read_noise_counts": 0.5,
    }  # fmt: skip
    config["training"] |= {"arcsinh_cofactor": 12.0, "arcsinh_offset": 1.5, "arcsinh_scale": 2.0}


# How the screen differs; axes and type of its files; panels that cannot be drawn of it.
SCREENS: dict[str, tuple[Callable, str, type, set[str]]] = {
    "two channels in one CYX file": (
        two_channels_in_one_file,
        "CYX",
        np.uint16,
        {"figqc2", "figqc3"},
    ),
    "six YX files, 8 bit": (six_files_of_8_bits, "YX", np.uint8, set()),
}


def channels_of(rows: list[tuple[str, str, str]]) -> list[dict]:
    groups = [group for *_, group in rows]
    return [
        {
            "name": name, "stain": stain, "group": group, "index": groups[:k].count(group),
            "colour": f"#{40 * k:02x}80ff",
        }
        for k, (name, stain, group) in enumerate(rows)
    ]  # fmt: skip


def small(name: str) -> dict:
    """A screen of 18 tiles and one model, whose files have no axis of focal planes."""
    config = tiny_configuration()
    config["screen"] |= {
        "name": name, "z_planes": 1, "tiles": "0-8",
        "well_grid": {"column_heights": [3, 3, 3], "centre_tiles": 1, "published_centre_tiles": 1},
    }  # fmt: skip
    config["alignment"]["reference"] = "DNA"
    config["crop"] |= {"tiles_per_chunk": 9, "max_failed_fraction": 0.0}
    config["figures"]["panels"] = PANELS
    del config["models"]["cvae"], config["models"]["vae"]
    return config


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_runs_from_archive_to_report(screen, tmp_path):
    change, axes, kind, not_drawn = SCREENS[screen]
    config = small("other")
    change(config)
    write_configuration(config, tmp_path)
    done = snakemake(tmp_path, "--cores", "2")
    assert done.returncode == 0, done.stdout[-5000:]
    results = tmp_path / "results/other"
    image = next(
        (results / "study/Files").glob(f"screenA/*/{'c1' if axes == 'YX' else 'A1'}/*.tif")
    )
    with tifffile.TiffFile(image) as tif:
        assert (tif.series[0].axes, tif.series[0].dtype) == (axes, kind)
    check_crops(results, config)
    check_shifts(results)
    drawn = {path.stem for path in (results / "figures").glob("*.png")}
    assert drawn == set(PANELS) - not_drawn
    assert (results / "report.html").stat().st_size > 100_000
    for panel in not_drawn:
        assert panel in done.stdout.split("Left out of this run because ")[1]


def check_crops(results: Path, config: dict) -> None:
    """Crops hold the screen's channels, and models see them within the range of their output."""
    names = tuple(channel["name"] for channel in config["screen"]["channels"])
    shard = open_shard(next(results.glob("crops/*/*/*.perturbed.npy")), verify=True)
    assert shard.channels == names
    training = config["training"]
    scaled = np.arcsinh(shard.crops.astype(float) / training["arcsinh_cofactor"])
    scaled = (scaled - training["arcsinh_offset"]) / training["arcsinh_scale"]
    assert np.mean(np.abs(scaled) <= 1) > 0.99
    for k, name in enumerate(names):
        assert np.ptp(shard.crops[:, k]) > 20, name


def check_shifts(results: Path) -> None:
    """Shifts are the planted ones in at least 95 % of the tiles and channels."""
    found = pd.read_parquet(results / "qc/alignment.parquet")
    planted = pd.concat(map(pd.read_parquet, (results / "truth/tiles").glob("*.parquet")))
    both = found.merge(planted, on=["plate", "well", "tile", "channel"], suffixes=("", "_planted"))
    assert len(both) == len(found) > 0
    error_px = (both[["dy_px", "dx_px"]] - both[["dy_px_planted", "dx_px_planted"]].values).abs()
    assert (error_px.max(axis=1) < 0.5).mean() >= 0.95
