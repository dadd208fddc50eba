"""The library of a simulated screen: guides, genes, complexes, and their effects on cells."""

import io

import numpy as np
import pandas as pd

from mcvae_ops.errors import InputError
from mcvae_ops.files import write_parquet, write_text
from mcvae_ops.screen import CONTROL

NATURAL_AXES = ("mitosis", "size", "cell_cycle", "stress_fibres", "elongation", "actin_intensity")
NOVEL_AXES = (
    "tubulin_bundles",
    "damage_foci",
    "lobed_nucleus",
    "actin_aggregates",
    "nuclear_holes",
    "tubulin_collapse",
)
AXES = NATURAL_AXES + NOVEL_AXES
EFFECTS = [f"effect_{axis}" for axis in AXES]

_GUIDE_LENGTH = 20
_CORUM_COLUMNS = ("complex_id", "complex_name", "organism", "comment_complex", "subunits_gene_name")


def draw_genes(library: dict, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the genes: one row per gene, with the weight of its effect on every axis.

    Parameters
    ----------
    library
        Section ``simulate.library`` of the configuration.
    rng
        Source of the draws.

    Returns
    -------
    Columns gene, group, complex, kind ("shift": natural axes only, "novel", "none"), strength,
    penetrance and one ``effect_`` column per axis: weights, at strength and efficacy 1.

    Raises
    ------
    InputError
        If two groups have the same symbol, and so the same names of genes.
    """
    rows = []
    for group in library["groups"]:
        for number, weights in enumerate(group["complexes"], start=1):
            kind = "novel" if set(weights) & set(NOVEL_AXES) else "shift"
            for member in range(1, library["genes_per_complex"] + 1):
                gene = f"{group['symbol']}-{number}{chr(ord('A') + member - 1)}"
                names = (gene, group["name"], f"{group['name']} complex {number}", kind)
                rows.append(names + tuple(weights.get(axis, 0.0) for axis in AXES))
    for number in range(1, library["genes_without_effect"] + 1):
        rows.append((f"NUL-{number}", "", "", "none") + (0.0,) * len(AXES))
    genes = pd.DataFrame(rows, columns=["gene", "group", "complex", "kind", *EFFECTS])
    if genes["gene"].duplicated().any():
        raise InputError.twice(
            where="configuration key simulate.library.groups",
            what=f"gene {genes['gene'][genes['gene'].duplicated()].iloc[0]}",
            fix="give each group its own symbol",
        )
    genes.insert(4, "strength", rng.uniform(*library["strength"], len(genes)))
    genes.insert(5, "penetrance", rng.uniform(*library["penetrance"], len(genes)))
    return _spread(genes, library["gene_spread"], rng)


def _spread(genes: pd.DataFrame, sd: float, rng: np.random.Generator) -> pd.DataFrame:
    """Let each gene deviate from its complex; genes of kind shift get no novel axis."""
    deviation = pd.DataFrame(rng.normal(0, sd, (len(genes), len(AXES))), columns=EFFECTS)
    novel = [f"effect_{axis}" for axis in NOVEL_AXES]
    deviation.loc[genes["kind"] != "novel", novel] = 0
    deviation.loc[genes["kind"] == "none"] = 0
    return genes.assign(**(genes[EFFECTS] + deviation))


def draw_guides(genes: pd.DataFrame, library: dict, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the guides of every gene and of the controls: one row per guide.

    Returns
    -------
    Columns gene, guide, is_ntc, group, kind, complex, strength, efficacy, penetrance and the
    ``effect_`` columns: shift of a cell that the guide affects (weight x strength x efficacy;
    zeros for controls). The efficacy of a dose of a compound follows a Hill curve of slope 1.
    """
    doses_um = library["doses_um"]
    n_guides = len(doses_um or range(library["guides_per_gene"]))
    guides = genes.loc[genes.index.repeat(n_guides)].reset_index(drop=True)
    if doses_um is None:
        efficacy = rng.beta(*library["efficacy"], len(guides))
    else:
        log_ec50 = rng.uniform(*np.log([min(doses_um), max(doses_um)]), len(genes))
        efficacy = (doses_um / (doses_um + np.exp(log_ec50)[:, None])).ravel()
    scale = (guides["strength"] * efficacy).to_numpy()
    guides = guides.assign(efficacy=efficacy, is_ntc=False, **guides[EFFECTS].mul(scale, axis=0))
    controls = pd.DataFrame(
        {"gene": CONTROL, "is_ntc": True, "group": "", "complex": "", "kind": "none"},
        index=range(library["control_guides"]),
    )
    guides = pd.concat([guides, controls], ignore_index=True).fillna(0.0)
    if doses_um is None:
        guides["guide"] = draw_sequences(len(guides), rng)
    else:
        guides["guide"] = dose_names(guides["gene"], doses_um)
    names = ["gene", "guide", "is_ntc", "group", "kind", "complex"]
    return guides[[*names, "strength", "efficacy", "penetrance", *EFFECTS]]


def draw_sequences(n: int, rng: np.random.Generator) -> list[str]:
    """Draw `n` different guide sequences."""
    sequences: dict[str, None] = {}
    while len(sequences) < n:
        sequences["".join(rng.choice(list("ACGT"), _GUIDE_LENGTH))] = None
    return list(sequences)


def dose_names(compounds: pd.Series, doses_um: list[float]) -> list[str]:
    """Name each dose of a compound, and number the treatments of the controls."""
    number = compounds.groupby(compounds).cumcount()
    return [
        f"control {k + 1}" if compound == CONTROL else f"{compound} {doses_um[k]:g} uM"
        for compound, k in zip(compounds, number, strict=True)
    ]


def corum_table(effects: pd.DataFrame) -> str:
    """Return the planted complexes in the format of CORUM 5.

    As in the real table, some complexes and subunits are not in the library, and comments contain
    line breaks.
    """
    targeting = effects[effects["complex"] != ""]
    members = targeting.groupby("complex", sort=False)["gene"].agg(lambda g: list(dict.fromkeys(g)))
    rows = [(name, [*genes, f"{genes[0][:3]}-X"]) for name, genes in members.items()]
    rows += [("outside the library", ["OUT-1", "OUT-2", "OUT-3"])]
    table = pd.DataFrame(
        [
            (number, name, "Human", "Planted.\nSecond line.", ";".join(genes))
            for number, (name, genes) in enumerate(rows, start=1)
        ],
        columns=list(_CORUM_COLUMNS),
    )
    return _tab_separated(table)


def group_table(effects: pd.DataFrame) -> pd.DataFrame:
    """Return gene and group of every gene that belongs to a group."""
    return effects.loc[effects["group"] != "", ["gene", "group"]].drop_duplicates()


def mitotic_table(effects: pd.DataFrame, library: dict) -> pd.DataFrame:
    """Return the genes of complexes that shift existing states towards mitosis."""
    complexes = [
        f"{group['name']} complex {number}"
        for group in library["groups"]
        for number, weights in enumerate(group["complexes"], start=1)
        if weights.get("mitosis", 0) > 0 and not set(weights) & set(NOVEL_AXES)
    ]
    return effects.loc[effects["complex"].isin(complexes), ["gene"]].drop_duplicates()


def id_table(genes: pd.DataFrame) -> pd.DataFrame:
    """Return an Ensembl ID of every gene, of those that Ensembl has not given to real ones."""
    ids = [f"ENSG99999{number:06d}" for number in range(1, len(genes) + 1)]
    return pd.DataFrame({"symbol": genes["gene"], "ensembl_gene_id": ids})


def _tab_separated(table: pd.DataFrame) -> str:
    buffer = io.StringIO()
    table.to_csv(buffer, sep="\t", index=False, lineterminator="\n")
    return buffer.getvalue()


def simulate_library(
    *,
    simulate: dict,
    screen: dict,
    library: str,
    gene_ids: str,
    corum: str,
    functional_groups: str,
    mitotic_factors: str,
    truth: str,
) -> None:
    """Rule simulate_library: draw the library, its annotations and the effect of every guide.

    Parameters
    ----------
    simulate, screen
        Sections of the configuration.
    library, gene_ids, corum, functional_groups, mitotic_factors
        Outputs, in the formats of the real ones: guides and genes, Ensembl IDs (made up),
        complexes, groups of genes, mitotic genes.
    truth
        Output: the planted effects, see `draw_guides`.
    """
    rng = np.random.default_rng([simulate["seed"], 0])
    genes = draw_genes(simulate["library"], rng)
    effects = draw_guides(genes, simulate["library"], rng)
    public = effects[["guide", "gene"]].set_axis(["sgRNA", "gene_symbol"], axis=1)
    public = public.replace({"gene_symbol": {CONTROL: screen["control"]}})
    write_text(public.to_csv(index=False), library)
    write_text(_tab_separated(id_table(genes)), gene_ids)
    write_text(corum_table(effects), corum)
    write_text(_tab_separated(group_table(effects)), functional_groups)
    write_text(_tab_separated(mitotic_table(effects, simulate["library"])), mitotic_factors)
    write_parquet(effects, truth)
