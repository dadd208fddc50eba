"""Simulated worlds with known truth: cells, complexes, groups of genes, tiles of batches."""

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates.intervals import FEWEST_UNITS


def cells(
    seed: int,
    *,
    dimensions: int,
    controls: int,
    group: int,
    batches: int = 1,
    batch_spread: float = 0.0,
    uneven: bool = False,
    effect: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return latent, batch_of, is_control, group_of: controls (group 0) and one group (1).

    Parameters
    ----------
    controls
        Of each batch.
    group
        Cells of the group, over all batches; unevenly spread if `uneven`.
    batch_spread
        Standard deviation of what a batch adds to all of its cells.
    effect
        What the group has more than the controls in every dimension.
    """
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(batches, 0.3 if uneven else 1e6))
    batch_of = np.r_[np.repeat(np.arange(batches), controls), rng.choice(batches, group, p=shares)]
    is_control = np.arange(len(batch_of)) < batches * controls
    offsets = batch_spread * rng.normal(size=(batches, dimensions))
    latent = rng.normal(size=(len(batch_of), dimensions)) + offsets[batch_of]
    latent[~is_control] += effect
    return latent, batch_of, is_control, (~is_control).astype(int)


def complexes(
    seed: int, *, overlapping: bool, strength: float, machines: int = 40, dimensions: int = 16
) -> tuple[np.ndarray, np.ndarray, list[str], pd.DataFrame]:
    """Return profiles of two spaces, genes, and complexes (complex, gene).

    Molecular machines of 4 to 12 genes share a direction, each with a strength of its own; an
    annotation lists each once, or (overlapping) one to six times, with half of its genes or more.
    The second space is the first with more noise.
    """
    rng = np.random.default_rng(seed)
    rows, profiles = [], []
    for machine in range(machines):
        genes = [f"g{machine}_{k}" for k in range(rng.integers(4, 13))]
        shared = rng.uniform(0, strength) * rng.normal(size=dimensions)
        profiles.append(shared + rng.normal(size=(len(genes), dimensions)))
        for entry in range(rng.integers(1, 7) if overlapping else 1):
            share = rng.uniform(0.5, 1) if overlapping else 1
            size = max(2, round(share * len(genes)))
            named = genes[:size] if not overlapping else rng.choice(genes, size, replace=False)
            rows += [(f"c{machine}_{entry}", gene) for gene in named]
    first = np.concatenate(profiles)
    second = first + 0.5 * rng.normal(size=first.shape)
    names = [f"g{m}_{k}" for m, part in enumerate(profiles) for k in range(len(part))]
    return first, second, names, pd.DataFrame(rows, columns=["complex", "gene"])


def tiles(
    seed: int, *, batches: int, per_batch: int = 16, per_tile: int = 8, dimensions: int = 6
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return control cells with batch and position, and features of two predictors.

    Batches, positions, tiles and cells all leave a trace; what the position does differs from batch
    to batch.
    """
    rng = np.random.default_rng(seed)
    batch = np.repeat(np.arange(batches), per_batch * per_tile)
    tile = np.tile(np.repeat(np.arange(per_batch), per_tile), batches)
    unit = batch * per_batch + tile
    in_fov = np.where(rng.random(len(batch)) < 0.5, "edge", "centre")
    table = pd.DataFrame({"batch": [f"P/{k}" for k in batch], "tile": tile})
    table["position_in_fov"] = in_fov
    table["position_in_well"] = np.where(tile % 2 == 0, "edge", "centre")
    # what batches add is given, the same in all worlds; tiles and cells are drawn
    fixed = np.random.default_rng(7)
    of_batch = 0.5 * fixed.normal(size=(batches, dimensions))
    # one or two batches are given, and their tiles are the units; more are drawn themselves
    response = (fixed if batches < FEWEST_UNITS else rng).normal(0.5, 0.2, size=batches)
    noise = rng.normal(size=(batches * per_batch, dimensions))
    first = of_batch[batch] + 0.4 * noise[unit] + rng.normal(size=(len(batch), dimensions))
    first[:, 0] += response[batch] * (in_fov == "edge")
    second = first + rng.normal(size=first.shape)
    return table, first, second


def groups(
    seed: int, *, n_groups: int, genes_per_group: int, guides: int = 3, dimensions: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return guide profiles, the group and the gene of each guide; the groups are given."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(3)
    centres = fixed.normal(size=(n_groups, dimensions))
    group = np.repeat(np.arange(n_groups), genes_per_group * guides)
    gene = np.repeat(np.arange(n_groups * genes_per_group), guides)
    of_gene = rng.normal(size=(n_groups * genes_per_group, dimensions))
    x = centres[group] + of_gene[gene] + 0.7 * rng.normal(size=(len(gene), dimensions))
    return x, group, gene
