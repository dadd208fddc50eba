"""The results of a run, opened in Python without Snakemake.

>>> screen = mcvae_ops.open("results/simulated")
>>> screen.hits.sort_values("q_combined").head(10)
>>> screen.crops("TUB-2C", n=12)                                 # (cell, channel, y, x), counts
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from mcvae_ops.benchmarks.hits.hit_names import level_of
from mcvae_ops.embeddings.embedded_cells import check_aligned
from mcvae_ops.embeddings.spaces import latent_columns
from mcvae_ops.errors import InputError
from mcvae_ops.files import read_frame
from mcvae_ops.shards.crop_examples import draws_of
from mcvae_ops.shards.format import open_shard
from mcvae_ops.shards.index import index_channels


class Results:
    """The results of one screen; every table is read when it is first asked for.

    Parameters
    ----------
    folder
        ``results/{screen}`` of a run; a copy of it elsewhere will do.

    Raises
    ------
    InputError
        If the folder holds no results; later, if what is asked for is not there.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._path("configuration.yaml")

    def __repr__(self) -> str:
        return f"mcvae_ops.open({str(self.folder)!r})"

    @cached_property
    def configuration(self) -> dict:
        """The whole configuration of the run, with the defaults."""
        return yaml.safe_load(self._path("configuration.yaml").read_text(encoding="utf-8"))

    @property
    def main_model(self) -> str:
        """Name of the model of figures 3, 4 and 5, and of the table of hits."""
        return self.configuration["profiles"]["main_model"]

    @property
    def channels(self) -> list[str]:
        """Names of the channels of the crops, in their order."""
        return index_channels(self._path("shards/index.parquet"))

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every cell: names, place, guide, gene, whether it is a control, and its split."""
        index, splits = (self._path(f"shards/{name}.parquet") for name in ("index", "splits"))
        check_aligned(index, splits)
        return read_frame(index).assign(split=read_frame(splits)["split"]).set_index("cell_id")

    @cached_property
    def hits(self) -> pd.DataFrame:
        """One row per gene, or per dose: the table of hits (see docs/tables.md)."""
        hits = read_frame(self._path("hits.parquet"))
        return hits.set_index(level_of(hits))

    @cached_property
    def genes(self) -> pd.DataFrame:
        """Gene profiles of the main model, first seed, of all cells."""
        return self.profiles("genes")

    @cached_property
    def guides(self) -> pd.DataFrame:
        """Guide profiles of the main model, first seed, of all cells."""
        return self.profiles("guides")

    def profiles(
        self, level: str, model: str | None = None, seed: int | None = None, cells: str = "all"
    ) -> pd.DataFrame:
        """Return the profiles of guides or genes, one row each.

        Parameters
        ----------
        level
            "guides" or "genes".
        model, seed
            The training; the main model and its first seed if None.
        cells
            Of which cells: all, train, test, held_out_guide, held_out_gene.
        """
        table = read_frame(self._path(f"profiles/{self._training(model, seed)}/{level}.parquet"))
        return table[table["cells"] == cells].set_index(level.removesuffix("s"))

    def embedding(self, model: str | None = None, seed: int | None = None) -> pd.DataFrame:
        """Return `cells` with the latent vector of each: columns s_00, ..., z_00, ...

        Parameters
        ----------
        model, seed
            The training; the main model and its first seed if None.
        """
        path = self._path(f"embeddings/{self._training(model, seed)}.parquet")
        check_aligned(self._path("shards/index.parquet"), path)
        table = read_frame(path)
        latent = table.set_index("cell_id")[latent_columns(table.columns)]
        return pd.concat([self.cells, latent], axis=1)

    def crops(self, of: str | pd.DataFrame, n: int = 12) -> np.ndarray:
        """Return crops, uint16 (cell, channel, y, x), in counts.

        Parameters
        ----------
        of
            Name of a gene or guide, of whose cells `n` are chosen, always the same ones; or rows of
            `cells`, all of which are returned in their order.
        n
            Number of cells; all, if there are fewer.

        Raises
        ------
        InputError
            If no cell has this gene or guide.
        """
        rows = self._chosen(of, n) if isinstance(of, str) else of
        shards = {shard: open_shard(self._path(shard)).crops for shard in rows["shard"].unique()}
        places = zip(rows["shard"], rows["row"], strict=True)
        return np.stack([shards[shard][row] for shard, row in places])

    def model(self, model: str | None = None, seed: int | None = None):
        """Return a trained model; see `mcvae_ops.models.trained_model.TrainedModel`.

        Parameters
        ----------
        model, seed
            The training; the main model and its first seed if None.
        """
        # Imported on demand: tables need no PyTorch.
        from mcvae_ops.models.trained_model import load

        return load(self._path(f"models/{self._training(model, seed)}/weights.pt"))

    def _chosen(self, name: str, n: int) -> pd.DataFrame:
        cells = self.cells[(self.cells["gene"] == name) | (self.cells["guide"] == name)]
        if cells.empty:
            raise InputError.missing(
                where=str(self.folder),
                what=f"every cell of {name!r}",
                why="crops are those of a gene or guide",
                fix="look for the name in the columns gene and guide of `cells`",
            )
        return cells.iloc[np.sort(np.argsort(draws_of(cells.index), kind="stable")[:n])]

    def _training(self, model: str | None, seed: int | None) -> str:
        """Return "model/seed" of a training."""
        if seed is None:
            seed = self.configuration["training"]["seeds"][0]
        return f"{model or self.main_model}/{seed}"

    def _path(self, file: str) -> Path:
        path = self.folder / file
        if not path.exists():
            raise InputError.missing(
                where=str(path),
                what="the file",
                why="only what a run has made can be opened",
                fix="name results/{screen} of a finished run, or make the file: snakemake PATH",
            )
        return path
