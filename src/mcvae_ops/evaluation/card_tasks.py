"""The tasks of a score card: which row of a benchmark table each of them is, and what it means.

A family of tasks is one question at several degrees of distance: the ladder. A task counts as equal
on two cards only if its definition, the settings and lists that decide it, and the cells and their
split are equal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ANY = "*"  # an item that each list of pairs fills in
LARGEST = "largest"  # the largest level of the table


@dataclass(frozen=True)
class Family:
    """A question, asked at several distances.

    Attributes
    ----------
    title, question
        Its name, and what it asks.
    metric_words
        What the numbers are.
    paper, doi
        Where the measure comes from.
    higher_is_better
        False for what a representation should not know.
    not_asked
        Shortcuts that are not asked, because their vectors are made from the guide of the cell.
    """

    title: str
    question: str
    metric_words: str
    paper: str
    doi: str
    higher_is_better: bool = True
    not_asked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One family at one distance.

    Attributes
    ----------
    family
        Key of `FAMILIES`.
    rung
        The distance, in words.
    benchmark, where
        Table, and the columns that pick its row; `ANY` as item stands for every list of pairs.
    settings
        Sections of ``benchmarks`` in the configuration that decide the value.
    lists
        Annotation tables that decide it.
    """

    family: str
    rung: str
    benchmark: str
    where: tuple[tuple[str, object], ...]
    settings: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()


FAMILIES = {
    "activity": Family(
        "Activity",
        "Which share of the genes changes the cells, against the controls of the same batches?",
        "share of genes that are hits (q < 0.05)",
        "Besag and Clifford 1991",
        "10.1093/biomet/78.2.301",
        not_asked=("cell_count",),
    ),
    "guides": Family(
        "Guides of a gene",
        "Do the guides of one gene resemble each other more than those of other genes?",
        "mean average precision",
        "Kalinin et al. 2025",
        "10.1038/s41467-025-60306-2",
    ),
    "complexes": Family(
        "Protein complexes",
        "Do genes of one complex (CORUM) have similar profiles?",
        "average precision of pairs",
        "Wang et al. 2023",
        "10.1101/2023.11.28.569094",
    ),
    "pairs": Family(
        "Pathways and pairs",
        "Do genes that a list joins have similar profiles?",
        "average precision of pairs",
        "Celik et al. 2024",
        "10.1371/journal.pcbi.1012463",
    ),
    "efaar": Family(
        "Known relations (EFAAR)",
        "Are known pairs among the 5 % most or least similar ones? A random map reaches 0.1.",
        "recall",
        "Celik et al. 2024",
        "10.1371/journal.pcbi.1012463",
    ),
    "functions": Family(
        "Functional groups",
        "Is the group of a gene told from its profile, by a model that never saw the gene?",
        "mean recall of the groups",
        "Wang et al. 2023",
        "10.1101/2023.11.28.569094",
    ),
    "retrieval": Family(
        "A guide finds its gene",
        "Does a guide rank its gene (by the other guides of it) first, in other cells?",
        "mean reciprocal rank",
        "Way et al. 2022",
        "10.1016/j.cels.2022.10.001",
    ),
    "mitosis": Family(
        "Mitotic factors",
        "Do the norms of the two spaces tell mitotic factors from other genes?",
        "AUROC",
        "Wang et al. 2023",
        "10.1101/2023.11.28.569094",
    ),
    "stage": Family(
        "Mitotic cells",
        "Is a mitotic cell told from its vector, by a model that never saw the cell?",
        "AUROC",
        "DeLong et al. 1988",
        "10.2307/2531595",
    ),
    "batch": Family(
        "Batch",
        "Is the batch of a control cell told from its vector? 0.5 is chance, lower is better.",
        "AUROC",
        "Wang et al. 2023",
        "10.1101/2023.11.28.569094",
        higher_is_better=False,
    ),
    "place": Family(
        "Place",
        "Is the place of a control cell told from its vector? 0.5 is chance, lower is better.",
        "AUROC",
        "Wang et al. 2023",
        "10.1101/2023.11.28.569094",
        higher_is_better=False,
    ),
}
CELL_SETS = {
    "all": "all cells",
    "test": "held-out cells",
    "held_out_guide": "held-out guides",
    "held_out_gene": "held-out genes",
}
CORUM = ("average_precision", "CORUM")


def _tasks() -> Iterator[Task]:
    largest = (("metric", "hit_fraction"), ("level", LARGEST))
    yield Task("activity", "held-out cells", "power", (("cells", "unseen"), *largest))
    for cells, rung in CELL_SETS.items():
        of_cells = ("cells", cells)
        yield Task(
            "guides", rung, "guides", (of_cells, ("metric", "mean_average_precision"), ("item", ""))
        )
    for cells, rung in CELL_SETS.items():
        pairs = (("cells", cells), ("metric", "average_precision"))
        yield Task(
            "complexes", rung, "complexes", (*pairs, ("item", "CORUM")), lists=("complexes",)
        )
    for cells in ("all", "test"):
        pairs = (("cells", cells), ("metric", "average_precision"))
        name = "CORUM without its 5 largest"
        rung = f"{CELL_SETS[cells]}, without the 5 largest complexes"
        yield Task("complexes", rung, "complexes", (*pairs, ("item", name)), lists=("complexes",))
    for cells in ("all", "test"):
        pairs = (("cells", cells), ("metric", "average_precision"), ("item", ANY))
        yield Task("pairs", CELL_SETS[cells], "complexes", pairs, lists=("pairs",))
    recall = (("cells", "all"), ("protocol", "efaar"), ("item", ANY))
    yield Task("efaar", "all cells", "complexes", recall, lists=("complexes", "pairs"))
    for cells, rung in CELL_SETS.items():
        yield Task(
            "functions", rung, "functions", (("cells", cells), ("metric", "macro_recall")),
            ("functions",), ("functional_groups",),
        )  # fmt: skip
    for family, metric, item, lists in (
        ("retrieval", "mean_reciprocal_rank", "guide", ()),
        ("complexes", "average_precision", "CORUM", ("complexes",)),
    ):
        for cells in ("all", "test"):
            for rung in ("same batch", "other batch of the plate", "other plate"):
                half = (("metric", metric), ("item", item), ("against", rung))
                words = f"ladder, {CELL_SETS[cells]}: {rung}"
                yield Task(family, words, "ladder", (("cells", cells), *half), lists=lists)
    for against, words in (("batch", "other batches"), ("plate", "other plates")):
        for cells in ("all", "test"):
            found = (("metric", "mean_reciprocal_rank"), ("item", "guide"), ("against", against))
            rung = f"{CELL_SETS[cells]}, {words}"
            yield Task("retrieval", rung, "replicates", (("cells", cells), *found))
    for cells in ("all", "test", "held_out_gene"):
        auroc = (("metric", "auroc"), ("item", "relative_background"), ("against", ""))
        yield Task(
            "mitosis", CELL_SETS[cells], "mitosis", (("cells", cells), *auroc),
            ("mitosis",), ("mitotic_factors",),
        )  # fmt: skip
    of_stage = (("metric", "probe_auroc"), ("item", "stage"), ("against", "means"))
    yield Task("stage", CELL_SETS["test"], "cell_neighbours", (("cells", "test"), *of_stage))
    for family, item, words in (
        ("batch", "batch", ""),
        ("place", "position_in_fov", "in the tile, "),
        ("place", "position_in_well", "in the well, "),
    ):
        for cells in ("all", "test"):
            auroc = (("metric", "auroc"), ("item", item), ("against", ""))
            rung = f"{words}{CELL_SETS[cells]}"
            yield Task(family, rung, "covariates", (("cells", cells), *auroc), ("covariates",))


TASKS: Sequence[Task] = tuple(_tasks())
