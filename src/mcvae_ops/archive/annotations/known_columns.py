"""Which column of a list is which: told by the configuration, or by names that are in use."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mcvae_ops.archive.annotations.list_formats import GENE, SET
from mcvae_ops.errors import InputError

_SYMBOLS = (
    GENE, "gene symbol", "gene symbol 0", "gene name", "symbol", "symbols", "hgnc symbol",
    "approved symbol", "target gene", "compound", "perturbation",
)  # fmt: skip
# Names as in headers, without regard to case, spaces and punctuation; the first one is preferred.
KNOWN = {
    "gene": _SYMBOLS,
    "group": ("group", SET, "functional group", "function", "category", "pathway", "moa",
              "mechanism of action", "cluster", "complex", "complex name"),
    "arm": ("arm", "chromosome arm"),
    "complex": ("complex", "complex name", SET, "name", "group", "cluster"),
    "id": ("complex id", "id"),
    "organism": ("organism", "species"),
    # CORUM 3 and 4: subunits(Gene name); CORUM 5: subunits_gene_name.
    "genes": ("subunits gene name", "subunits", "genes", "gene names", "members", *_SYMBOLS),
    # HGNC: its complete set, and its custom downloads; NCBI's gene_info.
    "approved": ("symbol", "approved symbol", "hgnc symbol", "gene symbol"),
    "previous": ("prev symbol", "previous symbols", "previous symbol"),
    "alias": ("alias symbol", "alias symbols", "alias", "aliases", "synonyms"),
    "gene_a": ("gene a", "gene 1", "entity 1", "entity a", "protein 1", "protein a", "symbol a",
               "symbol 1", "official symbol interactor a", "source"),
    "gene_b": ("gene b", "gene 2", "entity 2", "entity b", "protein 2", "protein b", "symbol b",
               "symbol 2", "official symbol interactor b", "target"),
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """The header of a list.

    Attributes
    ----------
    names
        Its fields.
    chosen
        ``columns`` of the configuration: our name -> the name in the header.
    where
        The file, for errors.
    """

    names: Sequence[str]
    chosen: Mapping[str, str]
    where: str

    def find(self, role: str) -> int | None:
        """Return the position of the column of a role; None if the header does not name it.

        Raises
        ------
        InputError
            If the configuration names a column that is not there, or two columns may be meant.
        """
        if role in self.chosen:
            wanted = self.chosen[role]
            places = [k for k, name in enumerate(self.names) if name == wanted]
            return self._only(places, role, f"one column {wanted!r}")
        usual, *others = map(plain, KNOWN[role])
        plain_names = [plain(name) for name in self.names]
        places = [k for k, name in enumerate(plain_names) if name == usual]
        places = places or [k for k, name in enumerate(plain_names) if name in others]
        return self._only(places, role, f"one column {role!r}") if places else None

    def need(self, role: str) -> int:
        """Return the position of the column of a role, which must be there."""
        place = self.find(role)
        return self._only([], role, f"a column {role!r}") if place is None else place

    def _only(self, places: Sequence[int], role: str, expected: str) -> int:
        if len(places) == 1:
            return places[0]
        meant = f"{' and '.join(repr(self.names[k]) for k in places)} among " if places else ""
        raise InputError(
            where=self.where,
            found=f"{meant}columns {', '.join(self.names)[:120]}",
            expected=expected,
            fix=f"correct the header, or name the column: {{table: ..., columns: {{{role}: ...}}}}",
        )


def plain(name: str) -> str:
    """Return a name without case, spaces and punctuation."""
    return re.sub(r"[\W_]", "", name.lower())
