"""Do control cells that are given the salient state of a gene look like cells of this gene?

The most significant genes are looked at, in cells that the model never trained on. Many cells of a
gene are as controls are (its guides fail, or they escape), so its affected cells are looked at by
themselves: those that lie furthest along the gene's axis in s, which leads from the mean of the
controls to that of the gene.

A control keeps its own z. Its s becomes the mean s of the gene ("mean"), its own s moved along the
axis to where the affected cells lie ("axis"), or the s of one cell of the gene, any ("cell") or an
affected one ("affected"). A blind classifier, trained on reconstructions of real cells of the gene
and of real controls, says how often such a cell is taken for the gene.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.embeddings.embedded_cells import is_unseen
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame, write_parquet
from mcvae_ops.models.trained_model import TrainedModel, load
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import read_training_cells

GENES = 6
FEWEST_CELLS = 20
"""Cells of a gene, and controls of the same batches, that the classifier needs."""
MOST_CELLS = 200
AFFECTED = 0.2
"""Share of the cells of a gene that count as affected."""
FOLDS = 5
RINGS = 6
SHOWN_CELLS = 2
NO_PIXELS = pd.DataFrame({
    "gene": pd.Series(dtype=str), "kind": pd.Series(dtype=str), "cell": pd.Series(dtype="int32"),
    "channel": pd.Series(dtype=str), "y": pd.Series(dtype="int32"), "x": pd.Series(dtype="int32"),
    "value": pd.Series(dtype="float32"),
})  # fmt: skip
MAP = -1
"""Number of the cell, in the table of pixels, of a mean over cells."""


def matched_controls(
    gene: np.ndarray, controls: np.ndarray, batch: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw cells of a gene and as many controls of the same batches, without replacement.

    Parameters
    ----------
    gene, controls
        Positions of the cells of the gene, and of all controls.
    batch
        Batch of every position.
    rng
        Source of the draws.

    Returns
    -------
    Positions of the cells and of the controls: entry by entry of one batch.
    """
    pairs = []
    for number in np.unique(batch[gene]):
        own = [rng.permutation(cells[batch[cells] == number]) for cells in (gene, controls)]
        n = min(map(len, own))
        pairs.append(np.stack([own[0][:n], own[1][:n]]))
    both = np.concatenate(pairs, axis=1)
    chosen = rng.permutation(both.shape[1])[:MOST_CELLS]
    return both[0, chosen], both[1, chosen]


def ring_features(images: np.ndarray) -> np.ndarray:
    """Return what a blind classifier sees of cells: it does not depend on how a cell is turned.

    Parameters
    ----------
    images
        (cell, channel, y, x).

    Returns
    -------
    (cell, feature): mean and standard deviation of each channel in rings around the middle, and the
    standard deviation of its Laplacian.
    """
    size = images.shape[-1]
    y, x = np.indices((size, size)) - (size - 1) / 2
    ring = np.minimum((np.hypot(y, x) / (size / 2) * RINGS).astype(int), RINGS)
    parts = [images[:, :, ring == k] for k in range(RINGS)]
    fine = ndimage.laplace(images, axes=(2, 3)).std(axis=(2, 3))
    statistics = [f(part, axis=2) for part in parts for f in (np.mean, np.std)]
    return np.concatenate([*statistics, fine], axis=1)


def called_gene(
    gene: np.ndarray, controls: np.ndarray, altered: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return which cells a classifier takes for the gene, bool (cell,) by kind.

    Each cell is judged by a classifier that has seen neither it nor, of an altered control, the
    control that it was made from.

    Parameters
    ----------
    gene, controls
        Features of real cells, (cell, feature).
    altered
        Features of the controls with another s, row by row, by kind.
    """
    real = np.concatenate([gene, controls])
    is_gene = np.repeat([True, False], [len(gene), len(controls)])
    called = {kind: np.zeros(len(controls), bool) for kind in altered}
    called_real = np.zeros(len(real), bool)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    for fitted, tested in folds.split(real, is_gene):
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        classifier.fit(real[fitted], is_gene[fitted])
        called_real[tested] = classifier.predict(real[tested])
        rows = tested[tested >= len(gene)] - len(gene)
        for kind, features in altered.items():
            called[kind][rows] = classifier.predict(features[rows])
    return {"gene": called_real[is_gene], "control": called_real[~is_gene]} | called


class Decoder:
    """Encodes and decodes cells of the screen with a model, on the scale of its input."""

    def __init__(self, model: TrainedModel, crops: Crops) -> None:
        self._model, self._crops = model, crops

    @torch.no_grad()
    def encode(self, positions: np.ndarray) -> tuple[np.ndarray, dict[str, torch.Tensor]]:
        """Return the images (cell, channel, y, x) of cells and their posterior means by space."""
        crops = torch.from_numpy(self._crops.read(positions))
        images = self._model.preprocessing(crops, self._batch(positions))
        return images.contiguous().numpy(), self._model.network.embed(images)

    @torch.no_grad()
    def decode(
        self, latent: dict[str, torch.Tensor], positions: np.ndarray, s: torch.Tensor | None = None
    ) -> np.ndarray:
        """Return the images (cell, channel, y, x) of latent vectors; with another s, if given."""
        if s is not None:
            latent = latent | {"s": s.expand_as(latent["s"])}
        images = self._model.network.decode(latent, self._batch(positions))
        return images.contiguous().numpy()

    def _batch(self, positions: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(self._crops.cells.batch[positions].astype(np.int64))


def counterfactuals(
    index: str,
    cells: str,
    weights: str,
    hits: str,
    model_name: str,
    seed: int,
    benchmark: str,
    pictures: str,
) -> None:
    """Rule counterfactuals: give control cells the salient state of the first hits.

    Parameters
    ----------
    index, cells
        The shard index, and its numbers (rule training_cells).
    weights
        The trained model; it has s.
    hits
        The table of hits, of genes or of guides, whose genes are taken in order of q.
    model_name, seed
        Of the model.
    benchmark
        Output: share of the cells that are taken for the gene, by gene and kind.
    pictures
        Output: pixels of some cells of each kind, and of differences.

    Both tables are empty if no gene has `FEWEST_CELLS` cells that the model never trained on.

    Raises
    ------
    InputError
        If the model has no s.
    """
    model = load(weights)
    if not model.network.settings.salient_latent:
        raise InputError(
            where=weights,
            found="a model without salient space",
            expected="one with s, which is given to other cells",
            fix="name another model in profiles.main_model",
        )
    every = read_training_cells(cells)
    decoder = Decoder(model, Crops(Path(index).parent.parent, every))
    unseen = is_unseen(pd.Series(np.array(every.splits)[every.split]))
    controls = np.flatnonzero(unseen & (every.label == 0))
    order = read_frame(hits).sort_values(["q_combined", "distance_combined"],
                                         ascending=[True, False])  # fmt: skip
    rng, rows, pixels = np.random.default_rng(seed), [], []
    for gene in order["gene"].drop_duplicates():
        label = every.labels.index(gene) if gene in every.labels else -1
        own = np.flatnonzero(unseen & (every.label == label))
        if len(own) == 0:
            continue
        pair = matched_controls(own, controls, every.batch, rng)
        if len(pair[0]) < FEWEST_CELLS:
            continue
        called, shown = _of_gene(decoder, *pair, rng)
        for kind, values in called.items():
            interval = binomtest(int(values.sum()), len(values)).proportion_ci(method="wilson")
            rows.append(
                table.row(
                    benchmark="counterfactuals", protocol="strict", model=model_name, seed=seed,
                    space="salient", cells="test", metric="called_gene", item=gene, against=kind,
                    value=values.mean(), low=interval.low, high=interval.high, n=len(values),
                    units=f"{len(values)} cells",
                )
            )  # fmt: skip
        pixels.append(_pixels(shown, model.channels).assign(gene=gene)[[*NO_PIXELS]])
        if len(pixels) == GENES:
            break
    table.write(rows, benchmark)
    write_parquet(pd.concat([NO_PIXELS, *pixels]), pictures)


def affected(s_of_gene: np.ndarray, s_of_controls: np.ndarray) -> np.ndarray:
    """Return which cells of a gene lie furthest along its axis, `AFFECTED` of them, as rows.

    Parameters
    ----------
    s_of_gene, s_of_controls
        (cell, dimension), posterior means.
    """
    axis = s_of_gene.mean(axis=0) - s_of_controls.mean(axis=0)
    return np.argsort(-(s_of_gene @ axis))[: math.ceil(AFFECTED * len(s_of_gene))]


def _of_gene(
    decoder: Decoder, gene: np.ndarray, controls: np.ndarray, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return which cells are taken for the gene, and pictures (cell, channel, y, x), by kind."""
    (of_gene, latent), (of_controls, own) = map(decoder.encode, (gene, controls))
    far = affected(latent["s"].numpy(), own["s"].numpy())
    # One for each control, each as often as the others.
    donors = np.resize(rng.permutation(far), len(controls))
    given = {
        "mean": latent["s"].mean(dim=0),
        "axis": own["s"] + latent["s"][far].mean(dim=0) - own["s"].mean(dim=0),
        "cell": latent["s"],
        "affected": latent["s"][donors],
    }
    altered = {kind: decoder.decode(own, controls, s) for kind, s in given.items()}
    decoded = {
        "gene": decoder.decode(latent, gene), "control": decoder.decode(own, controls)
    }  # fmt: skip
    features = {kind: ring_features(images) for kind, images in (decoded | altered).items()}
    called = called_gene(features.pop("gene"), features.pop("control"), features)
    called["gene_affected"] = called["gene"][far]
    shown = {
        "control": of_controls, "control_decoded": decoded["control"], "axis": altered["axis"],
        "affected": altered["affected"], "gene_decoded": decoded["gene"][donors],
        "gene": of_gene[donors],
    }  # fmt: skip
    shown = {kind: images[:SHOWN_CELLS] for kind, images in shown.items()}
    maps = {
        "map_affected": (altered["affected"] - decoded["control"]).mean(axis=0),
        "map_gene": decoded["gene"][far].mean(axis=0) - decoded["control"].mean(axis=0),
    }
    return called, shown | {kind: image[None] for kind, image in maps.items()}


def _pixels(shown: dict[str, np.ndarray], channels: list[str]) -> pd.DataFrame:
    parts = []
    for kind, images in shown.items():
        cell, channel, y, x = (axis.ravel() for axis in np.indices(images.shape, np.int32))
        number = np.full_like(cell, MAP) if kind.startswith("map_") else cell
        names = {"kind": kind, "cell": number, "channel": np.array(channels)[channel]}
        values = {"y": y, "x": x, "value": images.ravel().astype(np.float32)}
        parts.append(pd.DataFrame(names | values))
    return pd.concat(parts, ignore_index=True)
