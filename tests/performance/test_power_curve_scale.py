"""Fig. S5 of one embedding of the paper's screen, without complexes: processor time and memory.

4 million cells that no model was trained on, 5,049 genes; a fifth (`ACTIVE`) has an effect. `CELLS`
sets the number of cells of the whole screen.
"""

import os
import resource
import time

import numpy as np
import pytest

from mcvae_ops.benchmarks.replicates.power_curve import HITS, draw_rows

N_GENES, N_BATCHES, N_LATENT, UNSEEN, CONTROLS = 5_049, 34, 64, 0.17, 250 / 20_445
EFFECT_SD, BLOCK = 0.3, 100_000


def test_the_curve_of_one_embedding():
    n_cells = int(float(os.environ.get("CELLS", 23_625_194)) * UNSEEN)
    active, rng = float(os.environ.get("ACTIVE", 0.2)), np.random.default_rng(0)
    gene_of = np.where(rng.random(n_cells) < CONTROLS, -1, rng.integers(0, N_GENES, n_cells))
    batch_of = rng.integers(0, N_BATCHES, n_cells)
    effect = np.zeros((N_GENES + 1, N_LATENT), np.float32)  # the last row is that of controls
    n_active = round(active * N_GENES)
    effect[:n_active] = EFFECT_SD * rng.standard_normal((n_active, N_LATENT))
    latent = rng.standard_normal((n_cells, N_LATENT), dtype=np.float32)
    for first in range(0, n_cells, BLOCK):
        latent[first : first + BLOCK] += effect[gene_of[first : first + BLOCK]]
    begun_s = time.process_time()
    genes = [f"g{k}" for k in range(N_GENES)]
    rows = draw_rows(latent, batch_of, gene_of, genes, None, 1000, 0, threads=2)
    minutes = (time.process_time() - begun_s) / 60
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n{n_cells:,} cells: {minutes:.1f} minutes of processor, {peak_gb:.1f} GB")
    hits = rows[(rows["metric"] == HITS) & (rows["draw"] == 0)]["value"]
    assert hits.iloc[-1] == pytest.approx(active, abs=0.06)
