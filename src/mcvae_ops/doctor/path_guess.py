"""The pattern of some paths: which parts of their names vary, and what these parts say.

Paths of one shape are cut at the same places. What varies is a field of the pattern by its role;
what another part already says is ``{*}``.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mcvae_ops.archive.patterns import MOST_WIDTH, Pattern, well_of
from mcvae_ops.doctor.path_parts import Leaf, leaves_of, word_prefix
from mcvae_ops.doctor.path_roles import assign_roles
from mcvae_ops.doctor.path_shapes import suffix_of

_SAMPLE, _SAMPLE_CHARACTERS = 5_000, 1_000_000


@dataclass(frozen=True)
class PathGuess:
    """A pattern and what its fields read.

    Attributes
    ----------
    text
        The pattern; see `mcvae_ops.archive.patterns`.
    n_files, size_bytes
        Of the paths that it reads.
    fields
        Values that each field reads, in the order of their frequency.
    places
        (plate, well, tile, channel) of each path; "" where the pattern lacks the field.
    questions
        What the paths leave open.
    """

    text: str
    n_files: int
    size_bytes: int
    fields: dict[str, list[str]]
    places: list[tuple[str, str, str, str]]
    questions: list[str]


def guess_pattern(entries: Sequence[tuple[str, int]]) -> PathGuess:
    """Guess the pattern of paths of one shape.

    Parameters
    ----------
    entries
        (path, size in bytes); of many, a sample is looked at, and all are read by the pattern.
    """
    longest = max(len(path) for path, _ in entries)
    n = max(1, min(_SAMPLE, _SAMPLE_CHARACTERS // longest, len(entries)))
    some = random.Random(0).sample(entries, n)
    suffixes = Counter(suffix_of(path) for path, _ in entries)
    usual = suffixes.most_common(1)[0][0]
    leaves = leaves_of([path[: len(path) - len(suffix_of(path))] + usual for path, _ in some])
    assign_roles(leaves)
    text = _text(leaves)
    regex, rows, n_bytes = Pattern(text).regex(), [], 0
    counts: dict[str, Counter] = {}
    for path, size in entries:
        if match := regex.fullmatch(path):
            found = match.groupdict()
            if (well := well_of(found)) is not None:
                found["well"] = well if "row" in found else found["well"]
            for name in ("plate", "well", "tile", "channel"):
                if name in found:
                    counts.setdefault(name, Counter())[found[name]] += 1
            rows.append(tuple(found.get(n, "") for n in ("plate", "well", "tile", "channel")))
            n_bytes += max(size, 0)
    fields = {name: [value for value, _ in values.most_common()] for name, values in counts.items()}
    return PathGuess(text, len(rows), n_bytes, fields, rows, _questions(leaves, rows))


def _text(leaves: list[Leaf]) -> str:
    parts = []
    for k, leaf in enumerate(leaves):
        if leaf.role is None:
            if leaf.is_constant:
                parts.append(leaf.values[0].replace("{", "{{").replace("}", "}}"))
            continue
        if leaf.role.lstrip("?") in ("*", "plane", "time"):
            parts.append("{*}" * (not parts or parts[-1] != "{*}"))
            continue
        lengths = {len(value) for value in leaf.distinct}
        after = leaves[k + 1] if k + 1 < len(leaves) else None
        is_open = after is not None and after.role == "*"
        padded = (leaf.role in ("row", "column", "tile") and max(lengths) > 1
                  and any(value.startswith("0") for value in leaf.distinct))  # fmt: skip
        is_fixed = len(lengths) == 1 and max(lengths) <= MOST_WIDTH and (padded or is_open)
        width = f":{lengths.pop()}" if is_fixed else ""
        prefix = word_prefix(leaf.distinct) if leaf.role == "channel" and not width else ""
        parts.append(f"{prefix}{{{leaf.role}{width}}}")
    return "".join(parts)


def _questions(leaves: list[Leaf], rows: list[tuple]) -> list[str]:
    questions = [
        f"The number of the {leaf.role[1:]} stands in the names "
        f"({', '.join(sorted(leaf.distinct)[:4])} ...), and a file of its own for each "
        "cannot be read: make stacks of them, or name one in screen.images."
        for leaf in leaves
        if (leaf.role or "").startswith("?")
    ]
    if twice := len(rows) - len(set(rows)):
        questions.append(f"{twice} of {len(rows)} files have the place of another file.")
    return questions
