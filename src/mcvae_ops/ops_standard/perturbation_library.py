"""The guides of a screen and what they target: ``perturbation_library.csv``."""

import logging
from pathlib import Path

import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_codes, read_frame, with_text, write_csv
from mcvae_ops.ops_standard.collection_names import CONTROL_ID, perturbation_id
from mcvae_ops.screen import symbols_of

logger = logging.getLogger(__name__)

COLUMNS = [
    "perturbation_id", "gene_id", "gene_symbol", "barcode", "role", "control_type",
    "protospacer_sequence", "protospacer_adjacent_motif",
]  # fmt: skip
OPTIONAL = ["sgrna_target_locus", "derived_gene_id", "derived_gene_name"]
_PAM = "3' NGG"  # of SpCas9


def library_of(
    guides: pd.DataFrame, known: pd.DataFrame | None, gene_ids: dict[str, str]
) -> pd.DataFrame:
    """Return the perturbation library, one row per guide.

    Parameters
    ----------
    guides
        guide, gene and is_ntc of every guide of the screen.
    known
        What is known of guides: the column barcode, and others of the standard; or None.
    gene_ids
        Ensembl ID of each symbol.

    Returns
    -------
    The columns `COLUMNS`, then those of `OPTIONAL` that are known; "" where there is no value.

    Raises
    ------
    InputError
        If a guide is no sequence of A, C, G, T, a protospacer has not 14 to 22 bases, or a gene has
        no Ensembl ID.
    """
    table = guides.rename(columns={"guide": "barcode"}).reset_index(drop=True)
    if known is not None:
        further = known.drop(columns=["perturbation_id", "role"], errors="ignore")
        table = table.merge(further, on="barcode", how="left")
    is_ntc = table["is_ntc"]

    def said(name: str, otherwise: pd.Series) -> pd.Series:
        if name not in table:
            return otherwise
        return table[name].mask(table[name].isna() | (table[name] == ""), otherwise)

    genes = table["gene"].map(lambda gene: symbols_of(gene) & gene_ids.keys())
    ids = genes.map(lambda symbols: gene_ids[min(symbols)] if symbols else "")
    text = pd.Series("", table.index)
    made = {
        "perturbation_id": table["gene"].map(perturbation_id),
        "gene_id": said("gene_id", ids).mask(is_ntc, CONTROL_ID),
        "gene_symbol": said("gene_symbol", table["gene"]).mask(is_ntc, CONTROL_ID),
        "barcode": table["barcode"],
        "role": text.mask(is_ntc, "control").mask(~is_ntc, "targeting"),
        "control_type": said("control_type", text + CONTROL_ID).where(is_ntc, ""),
        "protospacer_sequence": said("protospacer_sequence", table["barcode"]),
        "protospacer_adjacent_motif": said("protospacer_adjacent_motif", text + _PAM),
    }
    made |= {name: said(name, text) for name in OPTIONAL if name in table}
    library = pd.DataFrame(made).sort_values(["role", "perturbation_id", "barcode"])
    _check(library)
    return library.reset_index(drop=True)


def _check(library: pd.DataFrame) -> None:
    for name, pattern, wanted, fix in (
        ("barcode", "[ACGT]+", "a sequence of A, C, G and T",
         "the standard describes guides alone; compounds and doses cannot be written in it"),
        ("protospacer_sequence", "[ACGT]{14,22}", "14 to 22 of A, C, G and T",
         "give protospacers in the table exports.ops_standard.library"),
        ("gene_id", r"ENSG\d+|ENSMUSG\d+|ENSDARG\d+|non-targeting", "an Ensembl ID of each gene",
         "give gene_id in the table exports.ops_standard.library, or the table "
         "exports.ops_standard.gene_ids"),
    ):  # fmt: skip
        wrong = library[~library[name].str.fullmatch(pattern)]
        if len(wrong):
            first = wrong.iloc[0]
            raise InputError(
                where=f"perturbation_library.csv, {name}",
                found=f"{first[name]!r} for {first['perturbation_id']} and {len(wrong) - 1} others",
                expected=wanted,
                fix=fix,
            )


def read_gene_ids(path: str | None) -> dict[str, str]:
    """Return the Ensembl ID of each symbol of a table; of an earlier one if it means one gene."""
    if path is None:
        return {}
    table = _read(path, {"symbol", "ensembl_gene_id"})
    table = table[table["ensembl_gene_id"] != ""]
    ids = dict(zip(table["symbol"], table["ensembl_gene_id"], strict=True))
    if "prev_symbol" not in table:
        return ids
    earlier = table.assign(symbol=table["prev_symbol"].str.split("|")).explode("symbol")
    earlier = earlier[(earlier["symbol"] != "") & ~earlier["symbol"].isin(ids)]
    earlier = earlier.drop_duplicates(["symbol", "ensembl_gene_id"])
    earlier = earlier.drop_duplicates("symbol", keep=False)
    return ids | dict(zip(earlier["symbol"], earlier["ensembl_gene_id"], strict=True))


def _read(path: str, needed: set[str]) -> pd.DataFrame:
    """Read a table as text, "" where it has no value."""
    if path.endswith((".parquet", ".pq")):
        table = read_frame(path).astype(object)
        table = table.where(table.notna(), "").astype(str)
    else:
        separator = "," if Path(path).name.endswith((".csv", ".csv.gz")) else "\t"
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    if missing := needed - set(table):
        raise InputError.missing(
            where=f"table {path}",
            what=f"column {', '.join(sorted(missing))}",
            why="the perturbation library is made from it",
            fix="rename its columns as docs/ops_standard.md says",
        )
    return table


def ops_library(index: str, library: str | None, gene_ids: str | None, perturbations: str) -> None:
    """Rule ops_library: write the perturbation library.

    Parameters
    ----------
    index
        The shard index: its guides are the library.
    library
        Table of what is known of guides; or None.
    gene_ids
        Table of symbols and Ensembl IDs; or None.
    perturbations
        Output: csv.
    """
    names = ["guide", "gene", "is_ntc"]
    rows = with_text(read_codes(index, names).group_by(names).aggregate([])).to_pandas()
    known = None if library is None else _read(library, {"barcode"}).drop_duplicates("barcode")
    table = library_of(rows, known, read_gene_ids(gene_ids))
    logger.info("%d guides of %d genes", len(table), table["perturbation_id"].nunique())
    write_csv(table, perturbations)
