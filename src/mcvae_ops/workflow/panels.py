"""The panels of the figures and the tables that they are drawn from: one entry each.

A new panel is a function in a module of `mcvae_ops.figures` and an entry of `PANELS`. Nothing here
needs matplotlib, torch or Snakemake.
"""

from dataclasses import dataclass

__all__ = ["BENCHMARKS", "PANELS", "TABLES", "Panel", "Table"]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that panels are drawn from.

    Attributes
    ----------
    folder
        Where it lies below ``results/{screen}``. ``{training}`` ("model/seed") stands in it if each
        training that is shown has a table of its own.
    needs
        What a run must have to make it: "cells", "features" (classical ones of cells), "images",
        "trainings" (of models in this run), "corrections", "doses" (guides with a dose),
        "truth" (planted), "pairs" (of genes: those of complexes or of another list),
        "significance" (of guides), "mitotic_index", "spaces" (salient and background) or an
        annotation by its key in ``archive.annotations``. If several are missing, the user is told
        the first.
    """

    folder: str
    needs: tuple[str, ...]

    @property
    def per_training(self) -> bool:
        """Whether each training that is shown has a table of its own."""
        return "{training}" in self.folder


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel of a figure.

    Attributes
    ----------
    draw
        "module:function" below `mcvae_ops.figures`. The function takes the tables by name, the
        paper's numbers and the settings, and returns the figure and its source data.
    tables
        Names of the tables that it reads: keys of `TABLES`.
    needs
        What it needs in addition to what its tables need, in the same words; or "shifts", which are
        there if a channel is registered to another one; or "well_grid", the places of tiles.
    settings
        Sections of the configuration that it reads: "screen", "crop", "models", "training". Every
        panel is given ``profiles`` and ``screen.words``, too.
    caption
        What it shows, in words.
    """

    draw: str
    tables: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    caption: str


BENCHMARKS = {  # one row per estimate: the claims and the report read them, too
    "complexes": Table(folder="benchmarks", needs=("pairs",)),
    "functions": Table(folder="benchmarks", needs=("functional_groups", "significance")),
    "mitosis": Table(
        folder="benchmarks", needs=("mitotic_factors", "mitotic_index", "spaces", "stage")
    ),
    "covariates": Table(folder="benchmarks", needs=("cells",)),
    "features": Table(folder="benchmarks", needs=("cells", "features", "functional_groups")),
    "guides": Table(folder="benchmarks", needs=("cells",)),
    "corrections": Table(folder="benchmarks", needs=("corrections", "cells", "corum")),
}
TABLES = BENCHMARKS | {
    "integration": Table(folder="benchmarks", needs=("cells",)),
    "replicates": Table(folder="benchmarks", needs=("cells",)),
    "power": Table(folder="benchmarks", needs=("cells",)),
    "contents": Table(folder="benchmarks", needs=("cells",)),
    "ladder": Table(folder="benchmarks", needs=("cells",)),
    "truth": Table(folder="benchmarks", needs=("truth",)),
    "doses": Table(folder="benchmarks", needs=("cells", "doses")),
    "cell_neighbours": Table(folder="benchmarks", needs=("cells",)),
    "mitosis_points": Table(
        folder="benchmarks", needs=("mitotic_factors", "mitotic_index", "spaces", "stage")
    ),
    "hits": Table(folder="", needs=("cells",)),
    "umap_cells": Table(folder="benchmarks/{training}", needs=("cells",)),
    "umap_guides": Table(
        folder="benchmarks/{training}", needs=("functional_groups", "significance")
    ),
    "counterfactuals": Table(
        folder="benchmarks/{training}", needs=("cells", "trainings", "spaces")
    ),
    "counterfactual_cells": Table(
        folder="benchmarks/{training}", needs=("cells", "trainings", "spaces")
    ),
    "samples": Table(folder="models/{training}", needs=("cells", "trainings")),
    "metrics": Table(folder="models/{training}", needs=("cells", "trainings")),
    "alignment": Table(folder="qc", needs=("cells", "images")),
    "checks": Table(folder="qc", needs=("cells", "images")),
    "overlays": Table(folder="qc", needs=("cells", "images")),
    "montage": Table(folder="qc", needs=("cells", "images")),
    "cells_per_tile": Table(folder="qc", needs=("cells", "images")),
}
PANELS = {
    "fig1": Panel(
        draw="fig1_design:fig1",
        needs=("images",),
        settings=("screen", "models", "training"),
        caption=(
            "The main model as its network objects are: every layer with weights, the number of "
            "its channels (above) and the edge of its output in px (below); the two latent spaces "
            "with their priors. Below: the plates and wells of the screen, the grid of tiles in "
            "one well with the tiles that count as its centre and its edge, the members of the "
            "model family, and the channels in the order of the crops."
        ),
    ),
    "fig2a": Panel(
        draw="fig2_complexes:fig2a",
        tables=("complexes",),
        needs=("corum",),
        settings=("models",),
        caption=(
            "Do genes of one protein complex have similar profiles? Left, published protocol: "
            "profiles z-scored over genes, cosine distances, a pair is predicted if it lies in "
            "either tail of the distances; one point per percentile, the filled one is the 95th "
            "with its 95 % bootstrap interval over clusters of overlapping complexes. Right, "
            "strict protocol: average precision of the similar tail only, on all cells, on cells "
            "that were held out from training, on guides and on genes that were, with 95 % "
            "interval over clusters of overlapping complexes and training seeds; the grey tick is "
            "the mean over permuted gene labels. Dashed: values of the paper, of another "
            "training, other guides and annotation."
        ),
    ),
    "fig2b": Panel(
        draw="fig2_complexes:fig2b",
        tables=("complexes",),
        needs=("corum",),
        caption=(
            "The same as figure 2A for the spaces of the main model, and of each model that is "
            "compared with it: salient, background, and both side by side (combined)."
        ),
    ),
    "fig2c": Panel(
        draw="fig2_complexes:fig2c",
        tables=("complexes",),
        needs=("corum", "trainings"),
        settings=("models",),
        caption=(
            "The same as figure 2A for the contrastive models that differ only in which latent "
            "space has a prior mean per perturbation label: none, s, z, or both."
        ),
    ),
    "fig3a": Panel(
        draw="umaps:fig3a",
        tables=("umap_cells",),
        caption=(
            "UMAP of single cells in the salient and in the background space of the main model, "
            "and of each model that is compared with it. Left: all batches (hue says the plate, "
            "lightness the well). Middle and right: cells of one batch at the centre or the edge "
            "of their field of view (FOV) and of the well; all other cells are grey. A space that "
            "is free of technical effects mixes the colours."
        ),
    ),
    "fig3b": Panel(
        draw="fig3_covariates:fig3b",
        tables=("covariates",),
        caption=(
            "Technical covariates predicted from control cells (NTC) by logistic regression. Bars, "
            "published protocol: unscaled features, cells split at random; positions are fitted in "
            "each batch and the median is drawn. Diamonds, strict protocol: features standardised, "
            "no tile on both sides of the split, 95 % interval over batches and training seeds (of "
            "two seeds, dots in its place); circles: the same fits on cells that the model never "
            "trained on. Horizontal lines: guessing, and a classifier that sees only how dense "
            "the cells lie; a space that does not exceed the latter knows no more "
            "than density. Black ticks: values of the paper, where the screen is the paper's."
        ),
    ),
    "fig4a": Panel(
        draw="umaps:fig4a",
        tables=("umap_guides",),
        caption=(
            "UMAP of the profiles of guides (or genes) with a significant effect, coloured by the "
            "functional group of their gene, in each space of the main model, and of each model "
            "that is compared with it. A number names a group where it is densest; colour and "
            "marker together name the group of every point."
        ),
    ),
    "fig4b": Panel(
        draw="fig4_functions:fig4b",
        tables=("functions",),
        caption=(
            "Functional groups predicted from profiles by multinomial logistic regression: share "
            "of each true group (row) that is predicted as each group (column). Published "
            "protocol: one random split over guides, so that guides of one gene lie on both "
            "sides, and profiles of all cells. In brackets the macro recall of the strict "
            "protocol: profiles of held-out cells (of all cells where none were held out), "
            "standardised features, all guides of a gene on one side, 95 % interval over genes "
            "and training seeds."
        ),
    ),
    "fig4c": Panel(
        draw="fig4_functions:fig4c",
        tables=("functions",),
        caption=(
            "Recall of each functional group from the background minus that from the salient "
            "space of the main model, and of each model that is compared with it. Groups on the "
            "right shift states that control cells also have; groups on the left have phenotypes "
            "that control cells lack. Bars: published protocol, profiles of all cells; diamonds: "
            "strict protocol with 95 % interval, profiles of held-out cells (of all cells where "
            "none were held out); a bar is pale unless this interval excludes 0; black ticks: "
            "values of the paper, of another training, other guides and annotation."
        ),
    ),
    "fig4d": Panel(
        draw="fig4_features:fig4d",
        tables=("features",),
        caption=(
            "How much of the first principal component (PC1) of the classical features of control "
            "cells is explained by the first k features that a group of genes alters most. A group "
            "that shifts existing states alters features that vary in control cells as well. Left, "
            "published protocol, in sample: the first group of each class; dashed: values of the "
            "paper, where the screen is the paper's. Right, strict protocol on held-out batches: "
            "thin lines are groups, diamonds the mean of the groups of a class with its 95 % "
            "interval over groups."
        ),
    ),
    "fig4e": Panel(
        draw="fig4_features:fig4e",
        tables=("features",),
        settings=("screen",),
        caption=(
            "The first five classical features that the first group of each kind alters most, with "
            "their robust z against control cells (median over batches) and the number of batches "
            "in which they are among the most altered."
        ),
    ),
    "fig5a": Panel(
        draw="fig5_mitosis:fig5a",
        tables=("mitosis_points",),
        caption=(
            "Squared norm of the salient (S) against the background (B) part of each gene's "
            "profile, each divided by its mean over genes. Triangles: known mitotic factors."
        ),
    ),
    "fig5b": Panel(
        draw="fig5_mitosis:fig5b",
        tables=("mitosis_points",),
        caption=(
            "Absolute change of the mitotic index against the relative background norm B / (S + "
            "B), on the axes of the paper. Coloured: genes whose mitotic index lies beyond that of "
            "control guides; triangles: known mitotic factors. Circles: values of the paper, where "
            "the screen is the paper's."
        ),
    ),
    "fig5c": Panel(
        draw="fig5_mitosis:fig5c",
        tables=("mitosis", "mitosis_points"),
        caption=(
            "How well the relative background norm and the mitotic index tell known mitotic "
            "factors from the other genes with a significant mitotic index. Left: ROC curves, area "
            "in the legend. Right: the difference of the areas under the strict protocol with its "
            "95 % interval over genes (and training seeds), for the configured choice and for "
            "others: another threshold of significance, without the most extreme gene, a wider "
            "list of factors. If an interval includes 0, the data do not show which score is "
            "better."
        ),
    ),
    "figs1": Panel(
        draw="figs_guides:figs1",
        tables=("guides",),
        caption=(
            "Do the guides of one gene have similar profiles? Every guide ranks all others by the "
            "cosine distance of their profiles; the mean average precision of the guides of its "
            "gene, averaged over genes, and the share of genes whose guides lie nearer to each "
            "other than random rankings would put them (false discovery rate 5 %). On all cells "
            "and on cells that the models never trained on."
        ),
    ),
    "figs2": Panel(
        draw="figs_corrections:figs2",
        tables=("corrections", "integration", "complexes", "guides"),
        caption=(
            "What batch correction does to the batch, and to biology, in each space of the main "
            "model, of each model that is compared with it, and in CellProfiler features. "
            "Corrections: none, every batch centred on its control cells (NTC), scaled to their "
            "median and MAD, or whitened by them (typical variation normalisation, TVN). The batch "
            "is judged on control cells that no correction was fitted on: silhouette of the batch "
            "(0: mixed, 1: apart) and iLISI (share of the batches among neighbours; 1: mixed), "
            "with 95 % interval over batches; grey line: shuffled batches. Biology: average "
            "precision over pairs of one complex and over complexes, and how well the guides of "
            "one gene agree. A good correction moves the batch to the grey line and does not lower "
            "biology."
        ),
    ),
    "figs3": Panel(
        draw="figs_hits:figs3",
        tables=("hits",),
        caption=(
            "Which genes change the cells? Left: distance of a gene's cells from the control cells "
            "(NTC) of the same batches, and the false discovery rate q at which it is a hit, by "
            "exchange of labels within batches. A gene is novel if it moves the salient space, and "
            "a shift if it moves the background space alone, beyond the noise of so few cells. "
            "Right: how many hits stand further checks: two guides active by themselves (p below "
            "0.05), the same direction in most batches, mean average precision (mAP) against "
            "control cells, the effect without what density and place of the cells explain, no "
            "resemblance to unrelated genes of the same chromosome arm. The file hits.tsv holds a "
            "row for each gene: guides and batches that agree, norms with intervals, confounders, "
            "nearest genes and predicted functions."
        ),
    ),
    "figs4": Panel(
        draw="figs_replicates:figs4",
        tables=("replicates",),
        caption=(
            "Do replicates agree? Left, percent replicating: share of genes (and of guides) whose "
            "profiles in different batches correlate more than 95 % of groups of non-replicates "
            "from the same batches; grey: 5 %, without any effect. Right, retrieval across batches "
            "and across plates: every profile of one batch (or plate) ranks all genes by their "
            "profiles in the other batches (or plates). A gene looks for itself, a guide for the "
            "other guides of its gene; share of the queries that put the right gene first or among "
            "the first ten. Ticks: random ranks. 95 % intervals over genes and training seeds."
        ),
    ),
    "figs5": Panel(
        draw="figs_power:figs5",
        tables=("power",),
        caption=(
            "How many cells does a gene need? The cells of every gene are thinned at random, "
            "several times; all control cells stay. Average precision of complexes (over pairs, "
            "and over complexes) and the share of genes that are hits (q below 0.05), from cells "
            "that no model was trained on. 95 % intervals over clusters of overlapping complexes, "
            "or genes, draws and training seeds. A curve that still rises says that more cells "
            "would find more."
        ),
    ),
    "figs6": Panel(
        draw="figs_truth:figs6",
        tables=("truth",),
        caption=(
            "Only of a simulated screen: how well the spaces follow what was planted. R² of every "
            "planted axis from each space (ridge regression, cross-validated), on cells that no "
            "model was trained on. Novel axes are 0 in control cells and should be in the salient "
            "space; shifts along natural axes, which vary in all cells, in the background. Left, "
            "single cells, 95 % interval over tiles; right, means of genes, complexes held out "
            "together, 95 % interval over complexes. Diamonds: mean of the axes of a kind."
        ),
    ),
    "figs7": Panel(
        draw="figs_doses:figs7",
        tables=("doses",),
        caption=(
            "Only of a screen with doses. Left, dose response of the compounds with the surest "
            "trend: difference from the controls (NTC) of the same batch, in their standard "
            "deviations, along the direction in which the compound moves cells in the other "
            "batches; 95 % interval over batches (jackknife). Shaded: the dose of half the effect "
            "(ED50) with its 95 % interval, where the doses tell it. q: false discovery rate of a "
            "trend over all cells (Jonckheere and Terpstra's test, among the cells of a batch that "
            "training saw, and among the others). Right, retrieval of mechanisms: average "
            "precision with which a profile finds other compounds of its mechanism, at any "
            "dose; ticks: permuted mechanisms."
        ),
    ),
    "figs8": Panel(
        draw="figs_counterfactuals:figs8",
        tables=("counterfactuals", "counterfactual_cells", "metrics"),
        settings=("screen", "crop"),
        caption=(
            "Do control cells look like cells of a gene if they are given its salient state? For "
            "the most significant genes, two channels of: real control cells, the same decoded, "
            "decoded with their own z and the mean s of the gene, with the s of one cell of the "
            "gene, and cells of the gene of the same batches, decoded and real. Then the mean "
            "change of the controls with the s of cells, and the mean difference of the decoded "
            "cells. Right: how often a classifier, which was trained on reconstructions of real "
            "cells, takes each kind for the gene; moved s: own s of the controls, moved by the "
            "difference of the mean s of the gene from that of the controls."
        ),
    ),
    "figs9": Panel(
        draw="figs_cells:figs9",
        tables=("cell_neighbours",),
        caption=(
            "What is told of single cells from each space of each model: the gene of a perturbed "
            "cell, whether a cell is perturbed or a control (NTC), the well of a control cell and, "
            "where the tables tell it, whether a cell is mitotic. "
            "What perturbations do should be told from the salient space alone: a background that "
            "tells the gene holds it, too. That it tells perturbed from control cells is no fault "
            "where perturbations shift natural states. Circles: kernel ridge regression on "
            "standardised dimensions, which also reads dimensions that hardly vary; squares: ten "
            "nearest neighbours. Open: samples of the posterior, which a decoder sees "
            "(profiles.log_variance). Held-out cells; dotted: chance; 95 % intervals over cells "
            "and training seeds. Random vectors and shortcuts stand in the table alone."
        ),
    ),
    "figs10": Panel(
        draw="figs_frontier:figs10",
        tables=("cell_neighbours", "metrics"),
        needs=("spaces",),
        caption=(
            "What it costs to keep the gene out of the background. Each model by how well the gene "
            "of a perturbed cell is told from its background space, which should be near chance "
            "unless perturbations shift natural states: on the left against how well it is told "
            "from the salient space, on the right against the reconstruction, in nats of a cell "
            "above the model that reconstructs best. A model further to the left separates more; "
            "one that also stands high on the left and low on the right pays nothing for it. A "
            "background that is empty stands on the left, too: look at the reconstruction."
        ),
    ),
    "figqc1": Panel(
        draw="qc_wells:figqc1",
        tables=("alignment",),
        needs=("shifts", "well_grid"),
        settings=("screen",),
        caption=(
            "How far the shift of every tile lies from the median shift of its plate, on the grid "
            "of its well. Tiles of one plate were imaged in one go, so colours that change from "
            "tile to tile, or a well that differs, are worth a look."
        ),
    ),
    "figqc2": Panel(
        draw="qc_alignment:figqc2",
        tables=("alignment", "checks"),
        needs=("shifts",),
        settings=("screen",),
        caption=(
            "Left: confidence of the measured shifts; below the configured least confidence, the "
            "shift of the plate is taken. Right: shifts that are known. Known shifts (whole, and "
            "of fractions of a pixel) were put into tiles of this run and measured again; channels "
            "of one file lie in register and must measure zero. Large errors there mean that the "
            "method does not suit these stains."
        ),
    ),
    "figqc3": Panel(
        draw="qc_alignment:figqc3",
        tables=("overlays",),
        settings=("screen",),
        needs=("shifts",),
        caption=(
            "The middle of one tile per plate, before and after alignment: the channel that is "
            "shifted over the one that it is shifted onto."
        ),
    ),
    "figqc4": Panel(
        draw="qc_crops:figqc4",
        tables=("montage",),
        settings=("screen",),
        caption=(
            "Crops of control and perturbed cells, as the models are given them before they are "
            "scaled: projected, aligned, clipped."
        ),
    ),
    "figqc5": Panel(
        draw="qc_wells:figqc5",
        tables=("cells_per_tile",),
        needs=("well_grid",),
        settings=("screen",),
        caption=(
            "Cells that were cropped, for every tile on the grid of its well. Tiles without a cell "
            "are white."
        ),
    ),
    "figqc6": Panel(
        draw="qc_reconstructions:figqc6",
        tables=("samples", "metrics"),
        settings=("screen", "crop"),
        caption=(
            "Some validation cells as the models are given them, as the main model (and each model "
            "that is compared with it) decodes them again, and as it decodes them with the salient "
            "latent s set to 0: what differs is all that s does, and is drawn below. Control "
            "cells are always decoded with s = 0. Right: how much a model says with each latent "
            "dimension (KL divergence of posterior and prior); a salient space near 0 is dead, and "
            "the part on quality below warns of it."
        ),
    ),
}
