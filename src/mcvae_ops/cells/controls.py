"""Are there control cells to compare with, in every batch?"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mcvae_ops.errors import InputError
from mcvae_ops.files import read_table
from mcvae_ops.screen import name_of

Counts = Mapping[tuple[str, str], tuple[int, int]]
"""Numbers of control and of perturbed cells of each well, by (plate, well)."""


def counts_of(cells: Sequence[str]) -> Counts:
    """Return the numbers of cells in the tables ``.../{plate}/{well}.parquet`` of all wells."""
    counts = {}
    for path in map(Path, cells):
        is_ntc = read_table(path, columns=["is_ntc"])["is_ntc"].to_numpy()
        well = name_of(path.name.removesuffix(".parquet"))
        counts[name_of(path.parent.name), well] = int(is_ntc.sum()), int((~is_ntc).sum())
    return counts


def check_batches(counts: Counts, batch: Sequence[str]) -> None:
    """Raise an `InputError` where cells have no control to be compared with.

    Parameters
    ----------
    counts
        See `counts_of`.
    batch
        ``screen.batch``: what the cells of a batch share.
    """
    if "well" in batch:
        n_wells = sum(n_controls > 0 for n_controls, _ in counts.values())
        if not any(n_controls and n_others for n_controls, n_others in counts.values()):
            raise InputError(
                where="configuration key screen.batch",
                found=f"[{', '.join(batch)}], but controls stand in wells of their own "
                f"({n_wells} of {len(counts)} wells)",
                expected="control cells in every batch",
                fix="set screen.batch: [plate]",
            )
        return
    with_controls = {plate for (plate, _), (n_controls, _) in counts.items() if n_controls}
    for plate, _ in counts:
        if plate not in with_controls:
            raise InputError(
                where="configuration key screen.plates",
                found=f"no control cell on plate {plate}",
                expected="control cells on every plate, with which its cells are compared",
                fix="leave the plate out, or correct screen.control",
            )
