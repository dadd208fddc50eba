"""The names that the standard has for what the pipeline names itself."""

import re
from collections.abc import Mapping, Sequence

from mcvae_ops.archive.addresses import local_study, scheme_of
from mcvae_ops.archive.patterns import well_name
from mcvae_ops.errors import InputError
from mcvae_ops.screen import CONTROL, crops_are_given, folder_name

CONTROL_ID = "non-targeting"  # perturbation_id, gene_id and gene_symbol of controls
RESERVED = "|"  # joins the parts of an aggregate_id
_WELL = re.compile(r"([A-Z])(\d+)")


def aggregation_name(screen: str, title: str | None) -> str:
    """Return the folder of an aggregation: its title in small letters, without spaces."""
    return folder_name("_".join((title or screen).lower().split()))


def store_name(aggregation: str, n_plates: int) -> str:
    """Return the pattern of the image stores: one of the aggregation, or one of each plate."""
    return aggregation if n_plates == 1 else f"{aggregation}_{{plate}}"


class ImageStores:
    """The image stores of an aggregation.

    Parameters
    ----------
    aggregation
        Its name.
    plates
        Plates and their wells.

    Attributes
    ----------
    plates
        Plate of each store; a store is called without ``.zarr``.
    wells
        store, row and column of each well; wells of other names are in no store.
    """

    def __init__(self, aggregation: str, plates: Mapping[str, Sequence[str]]) -> None:
        pattern = store_name(aggregation, len(plates))
        self.plates = {pattern.format(plate=folder_name(plate)): plate for plate in plates}
        self._wells = {
            (store, match[1], str(int(match[2]))): well
            for store, plate in self.plates.items()
            for well in plates[plate]
            if (match := _WELL.fullmatch(well_name(well)))
        }
        names = ("store", "row", "column")
        self.wells = {name: [key[k] for key in self._wells] for k, name in enumerate(names)}

    def plate_folder(self, wildcards) -> str:
        """Return the plate of ``wildcards.store``, as paths spell it."""
        return folder_name(self.plates[wildcards.store])

    def well(self, wildcards) -> str:
        """Return the well of store, row and column among `wildcards`, as it is configured."""
        return self._wells[wildcards.store, wildcards.row, wildcards.column]


def writes_images(config: dict) -> bool:
    """Say whether tiles are written: each an image of its own, and by default on this machine."""
    wanted, archive = config["exports"]["ops_standard"]["images"], config["archive"]
    if crops_are_given(config["cells"]) or config["screen"]["cut_px"] is not None:
        return False
    if wanted is not None:
        return wanted
    root = archive["root"]
    is_local = root is not None and scheme_of(root) in (None, "file")
    return archive["keep_raw"] or is_local or local_study(root) is not None


def well_parts(well: str) -> tuple[str, int]:
    """Return row and column of a well: ``A``, 1.

    Raises
    ------
    InputError
        If the row is not a single letter.
    """
    match = _WELL.fullmatch(well_name(well))
    if match is None:
        raise InputError(
            where="configuration key screen.plates",
            found=f"the well {well!r}",
            expected="one capital letter and a number, as the OPS Data Standard has wells",
            fix="this screen cannot be written in the standard",
        )
    return match[1], int(match[2])


def perturbation_id(gene: str) -> str:
    """Return the name of a perturbation: the gene, or `CONTROL_ID`.

    Raises
    ------
    InputError
        If the gene contains a character that the standard reserves.
    """
    if gene == CONTROL:
        return CONTROL_ID
    if RESERVED in gene or "/" in gene:
        raise InputError(
            where="the genes of the screen",
            found=repr(gene),
            expected=f"names without {RESERVED} (the OPS Data Standard reserves it) and /",
            fix="rename the gene in the tables of the screen",
        )
    return gene
