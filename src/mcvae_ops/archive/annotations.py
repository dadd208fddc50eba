"""What is known of the genes: complexes, pairs, functional groups, mitotic factors."""

import csv
import io
import logging
import zipfile
from collections import Counter
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.content import digest_of
from mcvae_ops.archive.licences import UNKNOWN, is_non_commercial, licence_of, plain_name
from mcvae_ops.archive.transfer import opened
from mcvae_ops.errors import InputError, shown
from mcvae_ops.files import write_csv, write_parquet

logger = logging.getLogger(__name__)

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
            where=where,
            found=f"columns {', '.join(header)[:80] or 'none'}",
            expected="CORUM's (subunits_gene_name) or lines of name TAB genes",
            fix="replace the file",
        )
    pairs = [(name, gene) for name, genes in filter(None, rows) for gene in genes.split()]
    return pd.DataFrame(pairs, columns=["complex", "gene"]).drop_duplicates(ignore_index=True)


def parse_pairs(text: str, where: str) -> pd.DataFrame:
    """Read pairs ``entity1,entity2``: columns gene_a < gene_b, each pair once, none with itself."""
    table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    _need(table, {"entity1", "entity2"}, where)
    pairs = {tuple(sorted(pair)) for pair in zip(table["entity1"], table["entity2"], strict=True)}
    rows = sorted((a, b) for a, b in pairs if a and a != b)
    return pd.DataFrame(rows, columns=["gene_a", "gene_b"])


def parse_table(text: str, columns: list[str], where: str) -> pd.DataFrame:
    """Read the named columns of a table (tab- or comma-separated), without duplicates."""
    separator = "\t" if "\t" in text.partition("\n")[0] else ","
    table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    _need(table, set(columns), where)
    return table[columns].drop_duplicates(ignore_index=True)


def read_text(place: str, archive: dict) -> tuple[str, str]:
    """Read a text file, or the first one of a zip archive.

    Returns
    -------
    The text, and the sha256 of the file.

    Raises
    ------
    InputError
        If it is a web page (some servers answer so for files that have moved), or no text.
    """
    with opened(place, archive) as path:
        content, sha256 = Path(path).read_bytes(), digest_of(path)
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                content = packed.read(packed.namelist()[0])
        text = content.decode("utf-8-sig")
    except (zipfile.BadZipFile, IndexError, UnicodeDecodeError) as error:
        raise InputError(
            where=place, found=f"no text ({error})", expected="a table", fix="replace the file"
        ) from None
    if text.lstrip()[:200].lower().startswith(("<!doctype", "<html")):
        raise InputError(
            where=place,
            found="a web page (HTML)",
            expected="a table",
            fix="correct the address, or place the file by hand",
        )
    return text, sha256


def compare_checksums(received: dict[str, str], recorded: pd.DataFrame) -> dict[str, str]:
    """Say of each source whether its file is the recorded one.

    Parameters
    ----------
    received
        sha256 by source.
    recorded
        Columns name and sha256 (empty where none is known) of ``resources/SOURCES.tsv``.

    Returns
    -------
    "as recorded", "differs" or "not recorded", by source.
    """
    known = {plain_name(name): sha256 for name, sha256 in recorded[["name", "sha256"]].values}
    verdicts = {}
    for source, sha256 in received.items():
        if sha256 in known.values():
            verdicts[source] = "as recorded"
        else:
            verdicts[source] = "differs" if known.get(plain_name(source)) else "not recorded"
        if verdicts[source] == "differs":
            logger.warning("%s: not the file that resources/SOURCES.tsv records", source)
    return verdicts


def licence_table(sources: dict, commercial_use: bool) -> pd.DataFrame:
    """Say for each configured source its licence, and whether it is used.

    Returns
    -------
    Columns source, address, licence, non_commercial, used.
    """
    places = {key: place for key, place in sources.items() if key != "pairs"} | sources["pairs"]
    rows = []
    for source, address in places.items():
        if address is None:
            continue
        licence = licence_of(source)
        non_commercial = is_non_commercial(source)
        used = not (commercial_use and non_commercial)
        if not used:
            logger.warning(
                "%s is left out of every table and figure: its licence (%s) forbids commercial "
                "use, and commercial_use is true",
                source,
                licence,
            )
        if commercial_use and licence == UNKNOWN:
            logger.warning("%s: its licence is unknown; check that you may use it", source)
        rows.append((source, address, licence, non_commercial, used))
    return pd.DataFrame(rows, columns=["source", "address", "licence", "non_commercial", "used"])


def annotations(
    sources: dict,
    commercial_use: bool,
    archive: dict,
    recorded: str,
    complexes: str,
    pairs: str,
    functional_groups: str,
    mitotic_factors: str,
    wider_mitotic_factors: str,
    licences: str,
) -> None:
    """Rule annotations: read each source into a tidy table; sources left out give no rows.

    Beside them: licence, sha256 as received, and whether it is that of ``SOURCES.tsv``
    (`recorded`).
    """
    table = licence_table(sources, commercial_use)
    used = dict(table.loc[table["used"], ["source", "address"]].itertuples(index=False))
    texts = {source: read_text(address, archive) for source, address in used.items()}
    empty = pd.DataFrame({"source": [], "gene_a": [], "gene_b": []}, dtype=str)
    listed = [
        parse_pairs(texts[source][0], used[source]).assign(source=source)
        for source in sources["pairs"]
        if source in used
    ]
    parsers = {
        "corum": (complexes, ["complex", "gene"], parse_complexes),
        "functional_groups": (functional_groups, ["gene", "group"], None),
        "mitotic_factors": (mitotic_factors, ["gene"], None),
        "wider_mitotic_factors": (wider_mitotic_factors, ["gene"], None),
    }
    written = {pairs: pd.concat([empty, *listed], ignore_index=True)[list(empty.columns)]}
    for source, (path, columns, parse) in parsers.items():
        if source not in used:
            written[path] = pd.DataFrame({column: [] for column in columns}, dtype=str)
        elif parse is None:
            written[path] = parse_table(texts[source][0], columns, used[source])
        else:
            written[path] = parse(texts[source][0], used[source])
    for path, annotation in written.items():
        logger.info("%s: %d rows", path, len(annotation))
        write_parquet(annotation.astype("string"), path)
    received = {source: sha256 for source, (_, sha256) in texts.items()}
    verdicts = compare_checksums(
        received, pd.read_csv(recorded, sep="\t", dtype=str, keep_default_na=False)
    )
    table["address"] = table["address"].map(shown)
    table["sha256"] = [received.get(source, "") for source in table["source"]]
    table["checksum"] = [verdicts.get(source, "") for source in table["source"]]
    write_csv(table, licences)


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
            where=where,
            found=f"columns {', '.join(map(str, table.columns))[:80]}",
            expected=f"a column {min(missing)!r}",
            fix="replace the file or correct its header",
        )
