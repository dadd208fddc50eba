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
        What a run must have to make it: "cells", "corrections", "pairs" (of genes: those of
        complexes or of another list), "significance" (of guides), "mitotic_index", "spaces"
        (salient and background) or an annotation by its key in ``archive.annotations``. If several
        are missing, the user is told the first.
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
        Sections of the configuration that it reads: "screen", "models", "training". Every panel is
        given ``profiles`` and ``screen.words``, too.
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
    "features": Table(folder="benchmarks", needs=("cells", "functional_groups")),
    "guides": Table(folder="benchmarks", needs=("cells",)),
    "corrections": Table(folder="benchmarks", needs=("corrections", "cells", "corum")),
}
TABLES = BENCHMARKS | {
    "mitosis_points": Table(
        folder="benchmarks", needs=("mitotic_factors", "mitotic_index", "spaces", "stage")
    ),
    "hits": Table(folder="", needs=("cells",)),
    "umap_cells": Table(folder="benchmarks/{training}", needs=("cells",)),
    "umap_guides": Table(
        folder="benchmarks/{training}", needs=("functional_groups", "significance")
    ),
    "samples": Table(folder="models/{training}", needs=("cells",)),
    "metrics": Table(folder="models/{training}", needs=("cells",)),
    "alignment": Table(folder="qc", needs=("cells",)),
    "checks": Table(folder="qc", needs=("cells",)),
    "overlays": Table(folder="qc", needs=("cells",)),
    "montage": Table(folder="qc", needs=("cells",)),
    "cells_per_tile": Table(folder="qc", needs=("cells",)),
}
PANELS = {
    "fig1": Panel(
        draw="fig1_design:fig1",
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
            "compared with it: salient, background, and both side by side (all)."
        ),
    ),
    "fig2c": Panel(
        draw="fig2_complexes:fig2c",
        tables=("complexes",),
        needs=("corum",),
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
            "no tile on both sides of the split, 95 % interval over batches and training seeds; "
            "circles: the same fits on cells that the model never trained on. Lines: guessing, and "
            "a classifier that sees only how dense the cells lie; a space that does not exceed the "
            "latter knows no more than density. Black ticks: values of the paper, where the screen "
            "is the paper's."
        ),
    ),
    "fig4a": Panel(
        draw="umaps:fig4a",
        tables=("umap_guides",),
        caption=(
            "UMAP of the profiles of guides (or genes) with a significant effect, coloured by the "
            "functional group of their gene, in each space of the main model, and of each model "
            "that is compared with it. Colour and marker together name a group."
        ),
    ),
    "fig4b": Panel(
        draw="fig4_functions:fig4b",
        tables=("functions",),
        caption=(
            "Functional groups predicted from profiles by multinomial logistic regression: share "
            "of each true group (row) that is predicted as each group (column). Published "
            "protocol: one random split over guides, so that guides of one gene lie on both "
            "sides. In brackets the macro recall of the strict protocol: standardised features, "
            "all guides of a gene on one side, 95 % interval over genes and training seeds."
        ),
    ),
    "fig4c": Panel(
        draw="fig4_functions:fig4c",
        tables=("functions",),
        caption=(
            "Recall of each functional group from the background minus that from the salient "
            "space of the main model, and of each model that is compared with it. Groups on the "
            "right shift states that control cells also have; groups on the left have phenotypes "
            "that control cells lack. Bars: published protocol; diamonds: strict protocol with 95 "
            "% interval; black ticks: values of the paper, of another training, other guides and "
            "annotation."
        ),
    ),
    "fig4d": Panel(
        draw="fig4_features:fig4d",
        tables=("features",),
        caption=(
            "How much of the first principal component (PC1) of the classical features of control "
            "cells is explained by the first k features that a group of genes alters most. A group "
            "that shifts existing states alters features that vary in control cells as well. "
            "Lines: published protocol, in sample; diamonds: strict protocol on held-out batches "
            "with 95 % interval over batches; dashed: values of the paper, where the screen is the "
            "paper's."
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
            "B). Coloured: genes whose mitotic index lies beyond that of control guides; "
            "triangles: known mitotic factors. Circles: values of the paper, where the screen is "
            "the paper's."
        ),
    ),
    "fig5c": Panel(
        draw="fig5_mitosis:fig5c",
        tables=("mitosis", "mitosis_points"),
        caption=(
            "How well the relative background norm and the mitotic index tell known mitotic "
            "factors from the other genes with a significant mitotic index (ROC curves, area in "
            "the legend). The note gives the difference of the areas under the strict protocol "
            "with its 95 % interval over genes and training seeds: if it includes 0, the data do "
            "not show which score is better."
        ),
    ),
    "figs1": Panel(
        draw="figs_guides_corrections:figs1",
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
        draw="figs_guides_corrections:figs2",
        tables=("corrections",),
        caption=(
            "What batch correction does to each space of the main model, and of each model that is "
            "compared with it, and to CellProfiler features: nothing, every batch centred on its "
            "control cells (NTC), scaled to their median and MAD, or whitened by them (typical "
            "variation normalisation, TVN). Average precision of the pairs of one complex, and how "
            "well the guides of one gene agree."
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
            "Right: how many hits stand further checks. The file hits.tsv holds a row for each "
            "gene: guides and batches that agree, norms with intervals, confounders, nearest genes "
            "and predicted functions."
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
        settings=("screen",),
        caption=(
            "Some validation cells as the models are given them, as the main model (and each model "
            "that is compared with it) decodes them again, and as it decodes them with the salient "
            "latent s set to 0: what differs between the last two is all that s does. Control "
            "cells are always decoded with s = 0. Right: how much a model says with each latent "
            "dimension (KL divergence of posterior and prior); a salient space near 0 is dead, and "
            "the part on quality below warns of it."
        ),
    ),
}
