"""The chain of measurements that brings every channel onto the reference.

It needs no array library, because every configuration is checked with it before the first job.
"""

from collections.abc import Sequence

from mcvae_ops.errors import InputError
from mcvae_ops.screen import Channel


def resolve_chain(channels: Sequence[Channel], alignment: dict) -> dict[str, str | None]:
    """Say for each channel what it is brought onto, each after what it depends on.

    Returns
    -------
    ``{channel: target}``; the target is None for the reference, for channels in register with it,
    and for those recorded in one file with it. A channel that is not measured itself rides on a
    channel of its file.

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
            riding = [other for other in settled if group[other] == group[name]]
            target = measure.get(name) or next(iter(riding), None)
            if target in settled:
                same_frame = name not in measure and settled[target] is None
                settled[name] = None if same_frame else target
                waiting.remove(name)
                break
        else:
            raise InputError(
                where="configuration key alignment.measure",
                found=f"no way from {waiting[0]} to {reference}",
                expected="each channel measured against another, in one file with a settled one, "
                "or in register",
                fix=f"add {waiting[0]}: {reference}, or name it in alignment.in_register if one "
                "camera recorded both",
            )
    return settled
