"""Labels of cells: which are controls, and whether each guide stands for one gene."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from mcvae_ops.cells.partition import Partition
from mcvae_ops.cells.placing import NO_TILE, OTHER_TILES
from mcvae_ops.cells.tally import Tally
from mcvae_ops.errors import InputError, some_of
from mcvae_ops.screen import CONTROL, control_values, is_like

logger = logging.getLogger(__name__)

LABELS = ("guide", "gene", "role")
# What laboratories call controls: a label with such a word that is no control is said. A word ends
# where letters and digits do, and may have a number: no NT5E, LUC7L or WT1 is meant.
_LIKE_CONTROL = re.compile(
    r"(?i)(?<![a-z\d])(?:sg|si|sh)?[-_ ]?(?:non?[-_ ]?target|(?:no[-_ ]?guide"
    r"|no[-_ ]?site|non[-_ ]?gene|intergenic|ntc?|neg(?:ative)?[-_ ]?(?:control|ctrl|con)"
    r"|scrambled?|safe(?:[-_ ]?(?:targeting|harbou?r))?|empty|dmso|untreated|mock|vehicle|aavs1"
    r"|control|ctrl|luciferase|lacz)(?:[-_ .]?\d+)?(?![a-z\d]))"
)


class Labels:
    """The labels of all cells of a screen.

    Parameters
    ----------
    counts
        Number of cells by (plate, guide, gene, role).
    tally
        What became of the rows of the tables.
    screen
        tiles, control and ambiguous_labels of the configuration.

    Attributes
    ----------
    ambiguous
        Guides whose cells are left out.

    Raises
    ------
    InputError
        If there is no cell, or no control among them; if a label is the pipeline's own word for
        controls; if a guide stands for two genes and ``ambiguous_labels`` is ``refuse``.
    """

    def __init__(self, counts: Counter, tally: Tally, screen: dict) -> None:
        self.name, self.patterns = control_values(screen["control"])
        labels, genes, controls, genes_of = Counter(), Counter(), Counter(), defaultdict(set)
        for (plate, guide, gene, role), n in counts.items():
            label = role if self.name == "role" else gene
            is_control = label is not None and is_like(label, self.patterns)
            if gene == CONTROL and not is_control:
                raise _reserved(screen)
            gene = CONTROL if is_control else gene
            labels[label] += n
            genes[gene] += n
            controls[plate] += n if is_control else 0
            genes_of[guide].add(gene)
        if not counts:
            raise _no_cell(tally, screen["tiles"])
        _check_control(labels, controls, tally.elsewhere, screen)
        _say_look_alikes(genes)
        several = {guide: sorted(of) for guide, of in genes_of.items() if len(of) > 1}
        self.ambiguous = sorted(several)
        if several:
            _check_ambiguous(several, screen)

    def is_control(self, table: pa.Table) -> pa.Array:
        """Return whether each cell is a control."""
        labels = table[self.name]
        marked = [value for value in pc.unique(labels).to_pylist()
                  if value is not None and is_like(value, self.patterns)]  # fmt: skip
        return pc.is_in(labels, pa.array(marked, pa.string()))


def labels_of(parts: Sequence[Partition], screen: dict) -> Labels:
    """Return the labels of the cells of some partitions."""
    tally = sum((part.tally for part in parts), Tally())
    counts = count_labels(rows for part in parts for rows in part.read_all(["plate", *LABELS]))
    return Labels(counts, tally, screen)


def labelled_cells(parts: Sequence[Partition], screen: dict) -> pd.DataFrame:
    """Return plate, well, gene and is_ntc of the cells of some partitions, but for ambiguous ones.

    Raises
    ------
    InputError
        See `Labels`.
    """
    labels = labels_of(parts, screen)
    names = ["plate", "well", *LABELS]
    table = pa.concat_tables(rows for part in parts for rows in part.read_all(names))
    table = table.filter(
        pc.invert(pc.is_in(table["guide"], pa.array(labels.ambiguous, pa.string())))
    )
    table = table.append_column("is_ntc", labels.is_control(table))
    return table.select(["plate", "well", "gene", "is_ntc"]).to_pandas()


def mitotic_stages(parts: Sequence[Partition], patterns: Sequence[str]) -> list[str]:
    """Return the stages of the cells of some partitions that mean mitotic, in any case.

    Parameters
    ----------
    parts, patterns
        The partitions; ``screen.mitotic``.

    Raises
    ------
    InputError
        If cells have several stages, and none of them is like a pattern. That all are of one stage
        may be true of a few cells, and is a warning.
    """
    counts: Counter = Counter()
    for table in (rows for part in parts for rows in part.read_all(["stage"])):
        counts.update(
            {v["values"]: v["counts"] for v in pc.value_counts(table["stage"]).to_pylist()}
        )
    del counts[None]
    lower = [pattern.casefold() for pattern in patterns]
    mitotic = [stage for stage in counts if is_like(stage.casefold(), lower)]
    if len(counts) == 1 and not mitotic:
        logger.warning("no cell is mitotic (screen.mitotic): all are %s", _counted(counts))
        return []
    if counts and not mitotic:
        raise InputError(
            where="configuration key screen.mitotic",
            found=f"{', '.join(map(repr, patterns))}, which no stage is like",
            expected=f"stages of mitotic cells among {_counted(counts)}",
            fix="correct screen.mitotic, or leave out cells.columns.stage (or {stage} in "
            "cells.table) if no stage is mitotic",
        )
    if counts:
        others = Counter({stage: n for stage, n in counts.items() if stage not in mitotic})
        taken = Counter({stage: counts[stage] for stage in mitotic})
        logger.info("mitotic: %s; other stages: %s", _counted(taken), _counted(others) or "none")
    return mitotic


def count_labels(tables: Iterable[pa.Table]) -> Counter:
    """Count cells by (plate, guide, gene, role)."""
    counts: Counter = Counter()
    names = ["plate", *LABELS]
    for table in tables:
        groups = table.group_by(names).aggregate([([], "count_all")])
        for *labels, n in zip(*(groups[c].to_pylist() for c in (*names, "count_all")), strict=True):
            counts[tuple(labels)] += n
    return counts


def _check_control(labels: Counter, controls: Counter, elsewhere: Counter, screen: dict) -> None:
    name, patterns = control_values(screen["control"])
    shown = ", ".join(map(repr, patterns))
    if not controls.total() and elsewhere:
        wells = ", ".join(f"{plate}/{well}" for (plate, well), _ in elsewhere.most_common(6))
        raise InputError(
            where="configuration key screen.control",
            found=f"{shown}, which labels cells of wells {wells} alone",
            expected="controls in wells that screen.plates names",
            fix="add these wells to screen.plates",
        )
    if not controls.total():
        commonest = ", ".join(repr(label) for label, _ in labels.most_common(5))
        raise InputError(
            where="configuration key screen.control",
            found=f"{shown}, which labels no cell",
            expected=f"a {name} of the tables of cells (the most common are {commonest})",
            fix=f"correct screen.control or cells.columns.{name}",
        )
    without = [plate for plate, n in controls.items() if not n]
    if without:
        logger.warning("no control cell on plate %s", ", ".join(without))


def _no_cell(tally: Tally, tiles: str) -> InputError:
    wells = ", ".join(f"{plate}/{well}" for (plate, well), _ in tally.seen.most_common(6))
    reasons: Counter = Counter()
    for (_, reason), n in tally.dropped.items():
        reasons[reason] += n
    counted = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
    shown, fix = "", "correct screen.plates, screen.tiles or cells.columns"
    if not reasons.keys().isdisjoint((NO_TILE, OTHER_TILES)):
        spelled = sorted((tile for (tile,) in tally.tiles), key=lambda tile: (len(tile), tile))[:6]
        shown = f", tiles {', '.join(map(repr, spelled))}" if spelled else ""
        if odd := [tile for tile in spelled if not tile.isdecimal()]:
            fix = f"name the number of the tile: {_how_to_read(odd[0])}"
    return InputError.missing(
        where="the tables of cells",
        what="every cell of the screen",
        why=f"the configuration names its plates, wells and tiles ({tiles}), and the tables have "
        f"cells of {wells or 'no plate and well'}{shown} ({counted or 'no row'})",
        fix=fix,
    )


def _how_to_read(tile: str) -> str:
    """Say how the number in the name of a tile is read: that of s01 by ``s{tile}``."""
    pattern = re.sub(r"\d+(?!.*\d)", "{tile}", tile)
    if "{tile}" not in pattern:
        return "a tile is a number, in another column"
    return f'cells.parse: {{COLUMN: "{pattern}"}} in place of cells.columns.tile'


def _check_ambiguous(several: dict[str, list[str]], screen: dict) -> None:
    shown = "; ".join(f"{guide}: {', '.join(genes)}" for guide, genes in list(several.items())[:5])
    found = f"{len(several)} guides of several genes ({shown})"
    if screen["ambiguous_labels"] == "refuse":
        raise InputError(
            where="the tables of cells and labels",
            found=found,
            expected="one gene of each guide",
            fix="correct the labels (a dose alone is no guide: name it columns.dose), or set "
            "screen.ambiguous_labels: drop to leave their cells out",
        )
    logger.warning("left out: the cells of %s", found)


def _say_look_alikes(genes: Counter) -> None:
    alike = [gene for gene in genes if gene not in (CONTROL, None) and _LIKE_CONTROL.search(gene)]
    if alike:
        shown = ", ".join(f"{gene!r} ({genes[gene]} cells)" for gene in sorted(alike)[:5])
        logger.warning("%s reads like a control and is taken for a gene; add it to screen.control "
                       "if it is one", shown)  # fmt: skip


def _counted(counts: Counter) -> str:
    """Return the commonest values, and how many cells have each."""
    return some_of([f"{value!r} ({n} cells)" for value, n in counts.most_common()], 8)


def _reserved(screen: dict) -> InputError:
    return InputError(
        where="the tables of cells",
        found=f"a gene {CONTROL}, which screen.control ({screen['control']!r}) does not name",
        expected=f"another name: {CONTROL} is the pipeline's own word for controls",
        fix="add it to screen.control if it marks controls, or rename it",
    )
