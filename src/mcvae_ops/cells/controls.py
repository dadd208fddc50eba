"""Are there control cells to compare with, in every batch?"""

from collections.abc import Mapping, Sequence

from mcvae_ops.errors import InputError

Counts = Mapping[tuple[str, str], tuple[int, int]]
"""Numbers of control and of perturbed cells of each well, by (plate, well)."""


def check_batches(counts: Counts, batch: Sequence[str]) -> None:
    """Raise an `InputError` where cells have no control to be compared with.

    Parameters
    ----------
    counts
        Of all wells, also of those without a cell.
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
