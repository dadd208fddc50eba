"""What is known of the genes: complexes, pairs, functional groups, mitotic factors."""

import logging
from pathlib import Path

import pandas as pd

from mcvae_ops.archive.annotations.list_sources import (
    COMPLEXES,
    PAIRS,
    Listed,
    listed_sources,
    read_content,
    tidy_list,
)
from mcvae_ops.archive.licences import UNKNOWN, is_non_commercial, licence_of
from mcvae_ops.errors import shown
from mcvae_ops.files import write_csv, write_parquet

logger = logging.getLogger(__name__)

COLUMNS = {  # of each table
    "complexes": ["complex", "gene"],
    "pairs": ["source", "gene_a", "gene_b"],
    "functional_groups": ["gene", "group"],
    "mitotic_factors": ["gene"],
    "wider_mitotic_factors": ["gene"],
    "chromosome_arms": ["gene", "arm"],
    "aliases": ["name", "approved"],
}


def compare_checksums(
    received: dict[str, str], addresses: dict[str, str], recorded: pd.DataFrame
) -> dict[str, str]:
    """Say of each source whether its file is the recorded one.

    Parameters
    ----------
    received
        sha256 by source.
    addresses
        Where each source came from.
    recorded
        Columns address and sha256 (empty where none is known) of ``resources/SOURCES.tsv``.

    Returns
    -------
    By source: "as recorded"; "differs" from what was recorded at its address; or "not recorded".
    """
    known = recorded[recorded["sha256"] != ""].set_index("address")["sha256"]
    verdicts = {}
    for source, sha256 in received.items():
        if (known == sha256).any():
            verdicts[source] = "as recorded"
        elif addresses[source] in known.index:
            verdicts[source] = "differs"
            logger.warning(
                "%s: its file is no longer the one that resources/SOURCES.tsv records", source
            )
        else:
            verdicts[source] = "not recorded"
    return verdicts


def licence_table(sources: list[Listed], commercial_use: bool) -> pd.DataFrame:
    """Say for each configured list its licence, and whether it is used.

    Returns
    -------
    Columns source, address, licence, non_commercial, used.
    """
    rows = []
    for listed in sources:
        source, licence = listed.name, licence_of(listed.name)
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
        rows.append((source, listed.table, licence, non_commercial, used))
    return pd.DataFrame(rows, columns=["source", "address", "licence", "non_commercial", "used"])


def annotations(
    sources: dict,
    organism: str | int,
    commercial_use: bool,
    archive: dict,
    recorded: str,
    tables: list[str],
    licences: str,
) -> None:
    """Rule annotations: read each list into a tidy table; lists left out give no rows.

    Beside them: licence, sha256 as received, and whether it is that of ``SOURCES.tsv``
    (`recorded`).

    Parameters
    ----------
    sources
        Section ``archive.annotations`` of the configuration.
    organism
        Whose complexes are used.
    commercial_use, archive
        Sections of the configuration.
    recorded
        ``resources/SOURCES.tsv``.
    tables
        Outputs: a table for each of `COLUMNS`, by its name.
    licences
        Output.
    """
    named = listed_sources(sources)
    table = licence_table(named, commercial_use)
    received, parts = {}, {name: [] for name in COLUMNS}
    for listed in (listed for listed, used in zip(named, table["used"], strict=True) if used):
        content, received[listed.name] = read_content(listed, archive)
        rows = tidy_list(listed, content, organism)
        logger.info("%s: %d rows of %s", listed.name, len(rows), listed.table)
        if listed.kind == PAIRS:
            rows.insert(0, "source", listed.name)
        parts["complexes" if listed.kind == COMPLEXES else listed.kind].append(rows)
    for path in tables:
        name = Path(path).stem
        empty = pd.DataFrame(columns=COLUMNS[name])
        write_parquet(pd.concat([empty, *parts[name]]).astype("string"), path)
    verdicts = compare_checksums(
        received,
        dict(zip(table["source"], table["address"], strict=True)),
        pd.read_csv(recorded, sep="\t", dtype=str, keep_default_na=False),
    )
    table["sha256"] = [received.get(source, "") for source in table["source"]]
    table["checksum"] = [verdicts.get(source, "") for source in table["source"]]
    table["address"] = table["address"].map(shown)
    write_csv(table, licences)
