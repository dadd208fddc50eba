"""Tidy tables of complexes, pairs, groups and genes from the rows of a list."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

from mcvae_ops.archive.annotations.known_columns import KNOWN, Header, plain
from mcvae_ops.archive.annotations.list_formats import SET
from mcvae_ops.archive.annotations.organisms import taxon
from mcvae_ops.archive.annotations.text_rows import MOST_FIELDS, Rows
from mcvae_ops.errors import InputError

# Between the genes of a complex; no gene symbol holds any of them.
_BETWEEN_GENES = re.compile(r"[;,|\s]+")
_BETWEEN_NAMES = re.compile(r"[,|]")  # HGNC has names with spaces among its aliases
_COPIES = re.compile(r"\(\d+\)$")  # Complex Portal: P12345(1)
_MOST_CHARACTERS = 2 * MOST_FIELDS
_NO_GENE = ("", "None", "-")
_HEADERS = {plain(name) for role in ("gene", "genes") for name in KNOWN[role]}


def tidy_complexes(
    rows: Rows, columns: Mapping[str, str], organism: str | int | None
) -> pd.DataFrame:
    """Return the members of complexes.

    A table with a header has a column of genes: CORUM's tables (versions 3 to 5), or others with
    one row per complex, or one per complex and gene. Without a header, two columns with a tab
    between them are name and genes. The genes of a field have ``;``,
    ``,``, ``|`` or spaces between them.

    Parameters
    ----------
    rows
        As `rows_of` returns them.
    columns
        Our names (complex, genes, id, organism) -> those of the header, where they are unusual.
    organism
        Complexes of other organisms are left out, where a column names the organism; None keeps
        all.

    Returns
    -------
    Columns complex, gene, without duplicates. Complexes of one name are told apart by their id.

    Raises
    ------
    InputError
        If no column holds genes, a name stands twice without an id, or no complex is of the
        organism.
    """
    names, body = rows.rows[0], rows.rows[1:]
    header = Header(names, columns, rows.where)
    genes = header.find("genes")
    if genes is None:
        known = [role for role in ("complex", "id", "organism") if header.find(role) is not None]
        if len(names) != 2 or rows.delimiter != "\t" or columns or known:
            header.need("genes")
        header, genes, body = Header(("complex", "genes"), {}, rows.where), 1, rows.rows
    label, number, of = header.need("complex"), header.find("id"), header.find("organism")
    for place in {label, number, of} - {None}:
        _check_names(rows, [row[place] for row in body])
    body = _of_organism(body, of, organism, rows.where)
    _check_size(rows, [row[genes] for row in body])
    complexes = [(row[label], "" if number is None else row[number], _genes(row[genes]))
                 for row in body]  # fmt: skip
    _check_genes(rows, [gene for _, _, members in complexes for gene in members])
    pairs = [
        (name, gene)
        for name, members in _told_apart(complexes, number is not None, rows.where)
        for gene in members
    ]
    return pd.DataFrame(pairs, columns=["complex", "gene"]).drop_duplicates(ignore_index=True)


def tidy_pairs(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return pairs: columns gene_a < gene_b, each pair once, none of a gene with itself."""
    table = _named(rows, columns, ("gene_a", "gene_b"))
    low, high = table.min(axis=1), table.max(axis=1)
    table = pd.DataFrame({"gene_a": low, "gene_b": high})[low != high]
    return table.drop_duplicates().sort_values(["gene_a", "gene_b"], ignore_index=True)


def tidy_groups(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return columns gene, group, without duplicates."""
    return _named(rows, columns, ("gene", "group")).drop_duplicates(ignore_index=True)


def tidy_arms(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return columns gene, arm, without duplicates."""
    return _named(rows, columns, ("gene", "arm")).drop_duplicates(ignore_index=True)


def tidy_genes(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the column gene, without duplicates; a single column needs no header.

    Its first row is one if it has a known name, or a space, which no symbol has.
    """
    names = rows.rows[0]
    if len(names) == 1 and not columns:
        is_title = " " in names[0] and len(rows.rows) > 1
        is_header = is_title or plain(names[0]) in _HEADERS
        genes = rows.rows[1:] if is_header else rows.rows
        rows = Rows([["gene"], *genes], rows.where, rows.delimiter, rows.literal)
    if names[0] == SET and len(sets := dict.fromkeys(row[0] for row in rows.rows[1:])) > 1:
        raise InputError(
            where=rows.where,
            found=f"{len(sets)} lists ({', '.join(list(sets)[:5])} ...)",
            expected="one list of genes",
            fix="write the name of one behind the address, after a #",
        )
    return _named(rows, columns, ("gene",)).drop_duplicates(ignore_index=True)


def tidy_aliases(rows: Rows, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the earlier and other names of genes, as HGNC lists them.

    Returns
    -------
    Columns name, approved: one row per name of a gene that is not its approved symbol. A name that
    is the approved symbol of another gene is left out.
    """
    header = Header(rows.rows[0], columns, rows.where)
    symbol = header.need("approved")
    others = [place for place in map(header.find, ("previous", "alias")) if place is not None]
    if not others:
        header.need("alias")
    approved = {row[symbol] for row in rows.rows[1:]}
    pairs = {
        (name, row[symbol]): None
        for row in rows.rows[1:]
        for place in others
        for name in map(str.strip, _BETWEEN_NAMES.split(row[place]))
        if name not in _NO_GENE and name not in approved
    }
    return pd.DataFrame(list(pairs), columns=["name", "approved"], dtype=str)


def _named(rows: Rows, columns: Mapping[str, str], roles: Sequence[str]) -> pd.DataFrame:
    """Return the columns of these roles; each field must be filled."""
    header = Header(rows.rows[0], columns, rows.where)
    places = [header.need(role) for role in roles]
    table = pd.DataFrame([[row[place] for place in places] for row in rows.rows[1:]],
                         columns=list(roles), dtype=object)  # fmt: skip
    for role in roles:
        check = _check_names if role == "group" else _check_genes
        check(rows, table[role])
    empty = (table == "").any(axis=1)
    if empty.any():
        number = int(empty.idxmax())
        raise InputError(
            where=f"{rows.where}, row {number + 2}",
            found=f"an empty field ({', '.join(rows.rows[number + 1])[:80]})",
            expected=f"{' and '.join(roles)} in every row",
            fix="complete the row, or delete it",
        )
    return table


def _genes(field: str) -> list[str]:
    genes = (_COPIES.sub("", gene).strip("()") for gene in _BETWEEN_GENES.split(field))
    return [gene for gene in genes if gene not in _NO_GENE]


def _of_organism(
    body: list[list[str]], column: int | None, organism: str | int | None, where: str
) -> list[list[str]]:
    if column is None or organism is None:
        return body
    kept = [row for row in body if not row[column] or taxon(row[column]) == taxon(organism)]
    if body and not kept:
        others = Counter(row[column] for row in body).most_common(5)
        raise InputError(
            where=where,
            found=f"complexes of {', '.join(f'{name} ({n})' for name, n in others)}",
            expected=f"some of {organism}, the organism of the screen",
            fix="correct screen.organism, or replace the list",
        )
    return kept


def _told_apart(
    complexes: list[tuple[str, str, list[str]]], with_id: bool, where: str
) -> list[tuple[str, list[str]]]:
    """Return (name, genes) with a name of its own for each complex."""
    members = defaultdict(set)
    for name, number, genes in complexes:
        members[name].add((number, tuple(sorted(genes)) if not with_id else ()))
    one_gene_a_row = all(len(genes) <= 1 for _, _, genes in complexes)
    twice = [name for name, held in members.items() if len(held) > 1]
    if with_id:
        return [(f"{name} ({number})" if name in twice else name, genes)
                for name, number, genes in complexes]  # fmt: skip
    if twice and not one_gene_a_row:
        raise InputError.twice(
            where=where,
            what=f"the complex {twice[0]!r}",
            fix="rename one, join the two, or add a column complex_id",
        )
    return [(name, genes) for name, _, genes in complexes]


def _check_names(rows: Rows, names: Sequence[str]) -> None:
    """Refuse a name at whose ends a quotation mark was left over; ``form "A"`` is none."""
    at_end = (name for name in names if name.strip('"') != name)
    _refuse(
        rows,
        (name for name in at_end if rows.literal or name.count('"') % 2 or '""' in name),
    )


def _check_size(rows: Rows, fields: Sequence[str]) -> None:
    """Refuse more genes in fields than a list has: spaces may stand between them."""
    n_characters = sum(map(len, fields))
    if n_characters > _MOST_CHARACTERS:
        raise InputError(
            where=rows.where,
            found=f"{n_characters:,} characters of genes",
            expected=f"genes of complexes, at most {_MOST_CHARACTERS:,} characters",
            fix="keep only the complexes that are needed",
        )


def _check_genes(rows: Rows, genes: Sequence[str]) -> None:
    """Refuse what no gene can be called: rows were cut in the wrong places."""
    _refuse(rows, (gene for gene in set(genes) if '"' in gene or "\n" in gene))


def _refuse(rows: Rows, wrong: Iterator[str]) -> None:
    field = next(wrong, None)
    if field is not None:
        raise InputError(
            where=rows.where,
            found=f"the name {field[:60]!r}",
            expected="names without quotation marks and line breaks",
            fix="close the quotation mark before it, or delete it",
        )


TIDY: dict[str, Callable[..., pd.DataFrame]] = {
    "corum": tidy_complexes,
    "pairs": tidy_pairs,
    "functional_groups": tidy_groups,
    "mitotic_factors": tidy_genes,
    "wider_mitotic_factors": tidy_genes,
    "chromosome_arms": tidy_arms,
    "aliases": tidy_aliases,
}
