"""The chain of measurements that brings every channel onto the reference.

It needs no array library, because every configuration is checked with it before the first job.
"""

from collections.abc import Sequence

from mcvae_ops.errors import InputError
from mcvae_ops.screen import Channel


def resolve_chain(channels: Sequence[Channel], alignment: dict) -> dict[str, str | None]:
    """Return the channel onto which each channel is shifted, in the order of their dependence.

    Returns
    -------
    ``{channel: target}``; the target is None for the reference, for channels in register with it,
    and for those recorded in one file with it. A channel that is not measured itself takes
    the shift of a channel of its file.

    Raises
    ------
    InputError
        If the configuration leaves a channel without a way to the reference.
    """
    reference, measure = alignment["reference"], alignment["measure"]
    names = [channel.name for channel in channels]
    in_register = names if alignment["in_register"] == "all" else alignment["in_register"]
    group = {channel.name: channel.group for channel in channels}
    settled: dict[str, str | None] = {reference: None} | dict.fromkeys(in_register)
    waiting = [name for name in names if name not in settled]
    while waiting:
        for name in waiting:
            same_file = [other for other in settled if group[other] == group[name]]
            target = measure.get(name) or next(iter(same_file), None)
            if target in settled:
                same_frame = name not in measure and settled[target] is None
                settled[name] = None if same_frame else target
                waiting.remove(name)
                break
        else:
            raise InputError.missing(
                where="configuration key alignment.measure",
                what=f"a way from {waiting[0]} to the reference {reference}",
                why="a channel is either measured against another one, or recorded in one file "
                "with an aligned one, or in register",
                fix=f"add {waiting[0]}: {reference}, or name it in alignment.in_register if one "
                "camera recorded both",
            )
    return settled
