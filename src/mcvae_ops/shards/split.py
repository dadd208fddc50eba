"""Split cells into training, validation, test and held-out sets, by their names alone."""

import difflib
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.errors import InputError
from mcvae_ops.files import parquet_writer, read_blocks, read_codes, read_schema, with_text
from mcvae_ops.shards.index import ROW_GROUP

SPLITS = ("train", "validation", "test")
SETS = (*SPLITS, "held_out_guide", "held_out_gene", "held_out_well")
_SCHEMA = pa.schema([("cell_id", pa.string()), ("split", pa.string())])


def uniform_of(name: str, seed: int) -> float:
    """Return a uniform number in [0, 1) that depends on a name and a seed only."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=str(seed).encode()).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def choose_held_out_guides(
    guides: Sequence[str], genes: Sequence[str], per_gene: int, seed: int
) -> set[str]:
    """Choose the guides that are held out.

    Parameters
    ----------
    guides, genes
        Guide and gene of each perturbed cell, or of each of their combinations.
    per_gene
        Number of guides of each gene to hold out; at least one guide of each gene is trained on.
    seed
        Seed of the choice.
    """
    by_gene = defaultdict(set)
    for guide, gene in set(zip(guides, genes, strict=True)):
        by_gene[gene].add(guide)
    held_out = set()
    for names in by_gene.values():
        shuffled = sorted(names, key=lambda name: uniform_of(f"guide {name}", seed))
        held_out.update(shuffled[: min(per_gene, len(shuffled) - 1)])
    return held_out


def drawn_names(cells: dict[str, np.ndarray], by: str) -> list[str]:
    """Return the name by which each cell is drawn; cells of the same name are in the same set."""
    own = [f"cell {name}" for name in cells["cell_id"]]
    wells = [f"{p}/{w}" for p, w in zip(cells["plate"], cells["well"], strict=True)]
    match by:
        case "cell":
            return own
        case "tile":
            return [f"tile {w}/{tile}" for w, tile in zip(wells, cells["tile"], strict=True)]
        case "well":
            return [f"well {well}" for well in wells]
        case "guide":
            rows = zip(cells["guide"], cells["is_ntc"], own, strict=True)
            return [name if is_ntc else f"drawn guide {guide}" for guide, is_ntc, name in rows]
        case _:
            raise ValueError(f"split.by is {by!r}, not cell, tile, guide or well")


def split_by_names(
    cells: dict[str, np.ndarray], split: dict, held_out_guides: set[str] | None = None
) -> np.ndarray:
    """Assign each cell to train, validation, test, held_out_gene, held_out_well or held_out_guide.

    A held-out gene comes first, so that all its cells are in one set; then a held-out well, then a
    held-out guide. Other cells are drawn by `fractions`: each cell alone, or all cells of a tile,
    guide or well together (``split.by``). NTC guides are never held out; where others are drawn by
    guide, NTC cells are drawn one by one.

    Parameters
    ----------
    cells
        Columns cell_id, plate, well, tile, guide, gene, is_ntc.
    split
        Section of the configuration.
    held_out_guides
        As `choose_held_out_guides` returns, where `cells` are a part of the screen.

    Returns
    -------
    str (cell,).
    """
    seed, fractions = split["seed"], split["fractions"]
    bounds = np.cumsum([fractions[name] for name in SPLITS])[:-1]
    drawn = np.array([uniform_of(name, seed) for name in drawn_names(cells, split["by"])])
    result = np.array(SPLITS, object)[np.searchsorted(bounds, drawn, side="right")]
    perturbed = ~cells["is_ntc"]
    if held_out_guides is None:
        names = (cells["guide"][perturbed], cells["gene"][perturbed])
        held_out_guides = choose_held_out_guides(*names, split["held_out_guides_per_gene"], seed)
    of_guide = np.array([guide in held_out_guides for guide in cells["guide"]], bool)
    result[perturbed & of_guide] = "held_out_guide"
    wells = set(split["held_out_wells"])
    names = zip(cells["plate"], cells["well"], strict=True)
    result[np.array([f"{plate}/{well}" in wells for plate, well in names], bool)] = "held_out_well"
    result[perturbed & np.isin(cells["gene"], split["held_out_genes"])] = "held_out_gene"
    return result


def check_genes(held_out: list[str], genes: Sequence[str]) -> None:
    """Raise InputError if a gene to be held out is none of `genes`, the perturbed ones."""
    known = set(genes)
    for gene in held_out:
        if gene not in known:
            near = difflib.get_close_matches(gene, known, n=1)
            raise InputError(
                where="configuration key split.held_out_genes",
                found=repr(gene),
                expected=f"one of the {len(known)} perturbed genes of the screen",
                fix=f"write {near[0]!r} instead" if near else "correct it or leave it out",
            )


def assign_splits(index: str, split: dict, splits: str) -> None:
    """Rule assign_splits: assign every cell of the index to a set.

    Sets that the tables of cells give (a column split, for embeddings that others made) are taken
    as they are.

    Parameters
    ----------
    index
        The shard index.
    split
        Section of the configuration.
    splits
        Output: cell_id and split, row-aligned with the index.

    Raises
    ------
    InputError
        If a held-out gene is not in the screen, if the training or the validation set has no NTC
        or no perturbed cell, or if a given set is none of `SETS`.
    """
    if "split" in read_schema(index).names:
        return _given_splits(index, splits)
    columns = ["cell_id", "plate", "well", "tile", "guide", "gene", "is_ntc"]
    library = with_text(
        read_codes(index, ["guide", "gene", "is_ntc"])
        .group_by(["guide", "gene", "is_ntc"])
        .aggregate([([], "count_all")])
    )
    perturbed = library.filter(pc.invert(library["is_ntc"]))
    guides, genes = (perturbed[name].to_pylist() for name in ("guide", "gene"))
    check_genes(split["held_out_genes"], genes)
    held_out = choose_held_out_guides(
        guides, genes, split["held_out_guides_per_gene"], split["seed"]
    )
    assigned = set()
    with parquet_writer(splits, _SCHEMA) as writer:
        for table in read_blocks(index, columns, ROW_GROUP):
            cells = {name: table[name].to_numpy() for name in columns}
            of_block = split_by_names(cells, split, held_out)
            assigned |= set(zip(cells["is_ntc"].tolist(), of_block.tolist(), strict=True))
            writer.write_table(pa.table([table["cell_id"], pa.array(of_block)], schema=_SCHEMA))
        n_ntc = library.filter(library["is_ntc"])["count_all"].to_numpy().sum()
        sizes = {True: n_ntc, False: perturbed["count_all"].to_numpy().sum()}
        for (arm, is_ntc), part in itertools.product(
            (("NTC", True), ("perturbed", False)), ("train", "validation")
        ):
            if (is_ntc, part) not in assigned:
                raise InputError.missing(
                    where=index,
                    what=f"a cell for {part} among {sizes[is_ntc]} {arm} cells",
                    why=f"they are split by {split['by']}, and training needs cells of both arms",
                    fix="correct split or screen.control in the configuration",
                )


def _given_splits(index: str, splits: str) -> None:
    with parquet_writer(splits, _SCHEMA) as writer:
        for table in read_blocks(index, ["cell_id", "split"], ROW_GROUP):
            is_known = pc.is_in(table["split"], pa.array(SETS))
            unknown = pc.unique(table["split"].filter(pc.invert(is_known))).to_pylist()
            if unknown:
                named = ("an empty field" if name is None else repr(name) for name in unknown)
                raise InputError(
                    where="the column split of the tables of cells",
                    found=", ".join(named),
                    expected=f"one of {', '.join(SETS)} for every cell",
                    fix="correct the column, or remove cells.columns.split",
                )
            writer.write_table(table.select(["cell_id", "split"]).cast(_SCHEMA))
