"""Small shards in the format of the pipeline, with a planted effect per gene."""

import logging
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mcvae_ops.models.objective import ADDITIONAL_TERMS
from mcvae_ops.shards.format import write_shard
from mcvae_ops.shards.index import index_shards
from mcvae_ops.shards.split import assign_splits
from mcvae_ops.shards.statistics import shard_statistics
from mcvae_ops.shards.training_cells import training_cells
from mcvae_ops.training.train import train_model

CHANNELS = ["A594", "AF750", "DAPI", "GFP"]
SPLIT = {
    "seed": 0,
    "fractions": {"train": 0.7, "validation": 0.15, "test": 0.15},
    "by": "cell",
    "held_out_guides_per_gene": 0,
    "held_out_wells": [],
    "held_out_genes": [],
}
TRAINING = {term.weight: 0.0 for term in ADDITIONAL_TERMS.values()} | {
    "seeds": [0],
    "network": "conv64",
    "base_width": 4,
    "input_size_px": 16,
    "arcsinh_cofactor": 250.0,
    "arcsinh_offset": 1.5,
    "arcsinh_scale": 2.5,
    "condition_on_batch": False,
    "sigma": "analytic",
    "technical_latent": 0,
    "likelihood_weight": 1.0,
    "normalise_batches": False,
    "augmentation": False,
    "kl_weight": 1.0,
    "kl_warmup_steps": 5,
    "wasserstein_weight": 1.0,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.004,
    "schedule": "cosine",
    "gradient_clip_norm": 10.0,
    "early_stopping_patience": 5,
    "checkpoint_minutes": 10.0,
    "device": "cpu",
    "precision": "float32",
    "compile": False,
}
MCVAE = {
    "salient_latent": 4,
    "background_latent": 5,
    "prior_s_per_label": True,
    "prior_z_per_label": True,
    "training": {},
}
VAE = MCVAE | {"salient_latent": 0, "prior_s_per_label": False, "prior_z_per_label": False}


def blobs(n_cells: int, size_px: int, gene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return discs of random radius, uint16 (cell, channel, y, x); each gene has its own ring."""
    y, x = np.mgrid[:size_px, :size_px] / size_px - 0.5
    distance = np.hypot(y, x)[None, None]
    radius = rng.uniform(0.2, 0.35, (n_cells, 1, 1, 1))
    brightness = rng.uniform(0.5, 1.5, (n_cells, 4, 1, 1))
    ring = np.exp(-(((distance - 0.05 * gene[:, None, None, None]) / 0.04) ** 2))
    effect = ring * (gene > 0)[:, None, None, None] * np.array([1, 0, 0, 1])[:, None, None]
    disc = 1 / (1 + np.exp((distance - radius) * 40))
    counts = 100 + 1500 * (brightness * disc + 2 * effect)
    return rng.poisson(counts).clip(max=65_535).astype(np.uint16)


def write_fake_screen(
    root: Path,
    n_cells: int = 240,
    size_px: int = 20,
    n_genes: int = 4,
    plate: str = "P",
    gain: float = 1.0,
    channels: list[str] = CHANNELS,
) -> Path:
    """Write two shards, the index and the splits below `root`; return the folder of the index."""
    rng = np.random.default_rng(0)
    paths = []
    for number, arm in enumerate(("ntc", "perturbed")):
        n = n_cells // 4 if arm == "ntc" else n_cells - n_cells // 4
        gene = np.zeros(n, int) if arm == "ntc" else rng.integers(1, n_genes + 1, n)
        names = np.where(gene == 0, "NTC", np.char.add("GENE", gene.astype(str))).tolist()
        cells = {
            "tile": np.arange(n) // 20,
            "cell_id": [f"{plate}_A1_{number:04d}_{k:05d}" for k in range(n)],
            "plate": [plate] * n,
            "well": [f"A{1 + k % 2}" for k in range(n)],
            "guide": names,
            "gene": names,
            "is_ntc": (gene == 0).tolist(),
        }
        paths.append(f"{root}/crops/{plate}/A1/000.{arm}.npy")
        order = [CHANNELS.index(name) for name in channels]
        crops = (gain * blobs(n, size_px, gene, rng)).astype(np.uint16)[:, order]
        write_shard(crops, np.arange(n), pa.table(cells), channels, paths[-1])
    index, splits = (str(root / "shards" / f"{name}.parquet") for name in ("index", "splits"))
    index_shards(paths, str(root), ["plate", "well"], index)
    assign_splits(index, SPLIT, splits)
    training_cells(index, splits, str(root / "shards/cells.arrow"))
    shard_statistics(index, splits, channels, str(root / "shards/statistics.parquet"))
    return root / "shards"


def train_model_arguments(shards: Path, out: Path, model: dict, training: dict) -> dict:
    """Return the keyword arguments of `train_model`."""
    return {
        "index": str(shards / "index.parquet"),
        "cells": str(shards / "cells.arrow"),
        "statistics": str(shards / "statistics.parquet"),
        "model": model,
        "training": training,
        "model_name": "mcvae" if model["salient_latent"] else "vae",
        "seed": 0,
        "channels": list(CHANNELS),
        "pixel_size_um": 0.65,
        "threads": 1,
        "memory_mb": 1000,
        "checkpoint_dir": str(out / "checkpoint"),
        "tensorboard_dir": str(out / "tensorboard"),
        "weights": str(out / "weights.pt"),
        "metrics": str(out / "metrics.parquet"),
        "samples": str(out / "samples.parquet"),
    }


def embedding_arguments(trained: dict, embedding: Path | str) -> dict:
    """Return the keyword arguments of `embed_cells` for what was trained."""
    names = ("index", "cells", "weights", "model", "training", "model_name", "seed")
    kept = {name: trained[name] for name in names}
    kept |= {"part": 0, "parts": 1, "log_variance": False}
    return kept | {"embedding": str(embedding)}


def train_in_process(arguments: dict, variables: dict[str, str], log: str) -> None:
    """Train in a process of its own, which a test may stop; what is logged goes to a file."""
    os.environ |= variables
    logging.basicConfig(level=logging.INFO, filename=log, filemode="w", force=True)
    torch.set_num_threads(1)
    train_model(**arguments)
