"""What is known of the genes: complexes, pairs, functional groups, mitotic factors."""

import csv
import io
import logging
import zipfile
from collections import Counter
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.transfer import opened
from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet, write_text

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
LICENCES = {
    "corum": "CC BY-NC 4.0",
    "reactome": "CC0",
    "humap": "CC BY 4.0",
    "stringdb": "CC BY 4.0",
    "string": "CC BY 4.0",
    "signor": "CC BY-NC 4.0",
}
_CORUM_COLUMNS = [
    {"id": "complex_id", "name": "complex_name", "genes": "subunits_gene_name"},
    {"id": "ComplexID", "name": "ComplexName", "genes": "subunits(Gene name)"},
]


def parse_complexes(text: str, where: str) -> pd.DataFrame:
    """Read complexes from CORUM's tables (versions 3 to 5) or from lines ``name TAB genes``.

    Parameters
    ----------
    text
        Content of the file.
    where
        Named in errors.

    Returns
    -------
    Columns complex, gene, without duplicates. Complexes of one name are told apart by their id.

    Raises
    ------
    InputError
        If the text is in none of these forms.
    """
    rows = list(csv.reader(io.StringIO(text), delimiter="\t"))
    header = rows[0] if rows else []
    for columns in _CORUM_COLUMNS:
        if columns["genes"] in header:
            return _table_complexes([dict(zip(header, row, strict=False)) for row in rows[1:]],
                                    columns)  # fmt: skip
    if not rows or any(len(row) != 2 for row in rows if row):
        raise InputError(
            where,
            f"columns {', '.join(header)[:80] or 'none'}",
            "CORUM's (subunits_gene_name) or lines of name TAB genes",
            "replace the file",
        )
    pairs = [(name, gene) for name, genes in filter(None, rows) for gene in genes.split()]
    return pd.DataFrame(pairs, columns=["complex", "gene"]).drop_duplicates(ignore_index=True)


def parse_pairs(text: str, where: str) -> pd.DataFrame:
    """Read pairs ``entity1,entity2``: columns gene_a < gene_b, each pair once, none with itself."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    _need(table, {"entity1", "entity2"}, where)
    pairs = {tuple(sorted(pair)) for pair in zip(table["entity1"], table["entity2"], strict=True)}
    kept = sorted((a, b) for a, b in pairs if a and a != b)
    return pd.DataFrame(kept, columns=["gene_a", "gene_b"])


def parse_table(text: str, columns: list[str], where: str) -> pd.DataFrame:
    """Read the named columns of a table (tab- or comma-separated), without duplicates."""
    separator = "\t" if "\t" in text.partition("\n")[0] else ","
    table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    _need(table, set(columns), where)
    return table[columns].drop_duplicates(ignore_index=True)


def read_text(place: str) -> str:
    """Read a text file, or the first one of a zip archive.

    Raises
    ------
    InputError
        If it is a web page: some servers answer so for files that have moved.
    """
    with opened(place) as path:
        content = Path(path).read_bytes()
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(archive.namelist()[0])
    text = content.decode("utf-8-sig")
    if text.lstrip()[:200].lower().startswith(("<!doctype", "<html")):
        raise InputError(
            place, "a web page (HTML)", "a table", "correct the address, or place the file by hand"
        )
    return text


def licence_table(sources: dict, commercial_use: bool) -> pd.DataFrame:
    """Say for each configured source its licence, and whether it is used.

    Returns
    -------
    Columns source, address, licence, non_commercial, used.
    """
    places = {key: sources[key] for key in ("corum", "functional_groups", "mitotic_factors")}
    places |= sources["pairs"]
    rows = []
    for source, address in places.items():
        if address is None:
            continue
        licence = LICENCES.get(source.lower().replace(".", "").replace("-", ""), UNKNOWN)
        non_commercial = "NC" in licence
        used = not (commercial_use and non_commercial)
        if commercial_use and licence == UNKNOWN:
            logger.warning("%s: its licence is unknown; check that you may use it", source)
        rows.append((source, address, licence, non_commercial, used))
    return pd.DataFrame(rows, columns=["source", "address", "licence", "non_commercial", "used"])


def annotations(
    sources: dict,
    commercial_use: bool,
    complexes: str,
    pairs: str,
    functional_groups: str,
    mitotic_factors: str,
    licences: str,
) -> None:
    """Rule annotations: read each source into a tidy table; sources left out give no rows."""
    table = licence_table(sources, commercial_use)
    used = dict(table.loc[table["used"], ["source", "address"]].itertuples(index=False))
    of_source = {}
    for source in sources["pairs"]:
        if source in used:
            of_source[source] = parse_pairs(read_text(used[source]), used[source])
    empty = pd.DataFrame({"source": [], "gene_a": [], "gene_b": []}, dtype=str)
    listed = [found.assign(source=source) for source, found in of_source.items()]
    written = {
        complexes: _read(used, "corum", ["complex", "gene"], parse_complexes),
        pairs: pd.concat([empty, *listed], ignore_index=True)[list(empty.columns)],
    }
    for name, columns, path in (
        ("functional_groups", ["gene", "group"], functional_groups),
        ("mitotic_factors", ["gene"], mitotic_factors),
    ):
        written[path] = _read(
            used, name, columns, lambda text, where, c=columns: parse_table(text, c, where)
        )
    for path, found in written.items():
        logger.info("%s: %d rows", path, len(found))
        write_parquet(found.astype("string"), path)
    write_text(table.to_csv(sep="\t", index=False), licences)


def _read(used: dict, source: str, columns: list[str], parse) -> pd.DataFrame:
    if source not in used:
        return pd.DataFrame({column: [] for column in columns}, dtype=str)
    return parse(read_text(used[source]), used[source])


def _table_complexes(rows: list[dict], columns: dict[str, str]) -> pd.DataFrame:
    human = [row for row in rows if _organism(row) in ("human", "")]
    names = Counter(row[columns["name"]] for row in human)
    pairs = []
    for row in human:
        name = row[columns["name"]]
        if names[name] > 1:
            name = f"{name} ({row[columns['id']]})"
        genes = (gene.strip() for gene in row[columns["genes"]].split(";"))
        pairs += [(name, gene) for gene in genes if gene not in ("", "None", "-")]
    return pd.DataFrame(pairs, columns=["complex", "gene"]).drop_duplicates(ignore_index=True)


def _organism(row: dict) -> str:
    return (row.get("organism") or row.get("Organism") or "").lower()


def _need(table: pd.DataFrame, columns: set[str], where: str) -> None:
    if missing := columns - set(table.columns):
        raise InputError(
            where,
            f"columns {', '.join(map(str, table.columns))[:80]}",
            f"a column {min(missing)!r}",
            "replace the file or correct its header",
        )
