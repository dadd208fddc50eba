"""Small tables of the shape that the benchmarks write, for tests of figures and report."""

import itertools

import numpy as np
import pandas as pd

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.benchmarks.estimates.functional_groups import NOVEL, SHIFTING

MODELS = {"vae": 0.16, "cvae": 0.24, "cvae_prior_s": 0.25, "cvae_prior_z": 0.25, "mcvae": 0.26}
BASELINES = {"cellprofiler": 0.52, "random": 0.04}
GROUPS = [
    "actin & adhesion", "cell cycle", "DNA damage", "DNA replication", "nuclear shape",
    "protein degradation", "ribosome biogenesis", "RNA processing", "spindle bipolarity",
    "translation", "tubulin", "vesicle trafficking",
]  # fmt: skip
BATCHES = [
    f"20260105_6W-SIM001{plate}/{well}" for plate in "AB" for well in ("A1", "A2", "B1", "B2")
]
SEEDS = (0, 1)


def spaces_of(model: str) -> list[str]:
    """Return the spaces of a model of the family, or of a baseline."""
    return ["combined", "salient", "background"] if "cvae" in model else ["combined"]


def named(benchmark: str, **what) -> dict:
    """Return what all rows of one benchmark share."""
    return {"benchmark": benchmark, "cells": "all", **what}


def complexes() -> pd.DataFrame:
    """Precision and recall that fall with the percentile, average precision with intervals."""
    rng, rows = np.random.default_rng(0), []
    prevalence = 0.028
    for model, skill in {**MODELS, **BASELINES}.items():
        for space in spaces_of(model):
            for seed in SEEDS if model in MODELS else (0,):
                gain = skill * {"combined": 1, "salient": 0.9, "background": 0.75}[space]
                gain += rng.normal(0, 0.01)
                here = named("complexes", model=model, space=space, seed=seed, item="CORUM", n=216)
                for level in range(80, 100):
                    share = 2 * (100 - level) / 100
                    recall = share ** (1 - 1.2 * gain)
                    precision = prevalence * recall / share
                    for metric, value in (("recall", recall), ("precision", precision)):
                        rows.append(
                            table.row(
                                **here, protocol="published", metric=metric, level=level,
                                value=value, low=0.93 * value, high=1.07 * value,
                            )
                        )  # fmt: skip
                    chance = {"chance_recall": share, "chance_precision": prevalence}
                    for metric, value in chance.items():
                        rows.append(
                            table.row(
                                **here,
                                protocol="published",
                                metric=metric,
                                level=level,
                                value=value,
                            )
                        )
                for cells, factor in (("all", 1.05), ("test", 1.0), ("held_out_guide", 0.6)):
                    value = gain * factor
                    strict = {**here, "cells": cells, "protocol": "strict"}
                    metric = "average_precision"
                    rows.append(
                        table.row(
                            **strict, metric=metric, value=value, low=value - 0.04,
                            high=value + 0.04,
                        )
                    )  # fmt: skip
                    rows.append(table.row(**strict, metric=f"{metric}_null", value=0.03))
    return table.to_frame(rows)


def covariates() -> pd.DataFrame:
    """Scores of both protocols, of batches, and of the baselines."""
    rng, rows = np.random.default_rng(1), []
    skill = {"salient": 0.1, "background": 0.35, "combined": 0.38}
    predictors = [("mcvae", space, seed, skill[space]) for space in skill for seed in SEEDS]
    predictors += [("cellprofiler", "combined", 0, 0.3)]
    baselines = [("", "chance", 0, 0.0), ("", "density", 0, 0.08)]
    for model, space, seed, extra in predictors + baselines:
        for item, chance in (
            ("batch", 0.125),
            ("position_in_fov", 0.5),
            ("position_in_well", 0.48),
        ):
            units = "160 tiles of 8 given batches" if item == "batch" else "8 batches"
            for metric, base in (("macro_f1", chance), ("auroc", 0.5)):
                for protocol in ("published", "strict") if model else ("strict",):
                    value = base + extra * (1 if protocol == "published" else 0.8)
                    here = named("covariates", model=model, space=space, seed=seed, item=item)
                    here |= {"protocol": protocol, "metric": metric, "n": 800}
                    bounds = (
                        {}
                        if protocol == "published"
                        else dict(low=value - 0.05, high=value + 0.04, units=units)
                    )
                    rows.append(table.row(**here, value=value, **bounds))
                    if protocol == "strict":
                        held_out = here | {"cells": "test", "n": 120}
                        rows.append(table.row(**held_out, value=value - 0.02, **bounds))
                    rows += [
                        table.row(**here, value=value + rng.normal(0, 0.05), against=batch)
                        for batch in BATCHES
                        if item != "batch"
                    ]
    return table.to_frame(rows)


def functions() -> pd.DataFrame:
    """Confusion, recall and difference of recall, both protocols."""
    rng, rows = np.random.default_rng(2), []
    pairs = [("mcvae", "salient", 2.0), ("mcvae", "background", 2.6), ("mcvae", "combined", 3.0)]
    pairs += [("cellprofiler", "combined", 4.5)]
    for model, space, skill in pairs:
        for protocol, cells in (("published", "all"), ("strict", "all"), ("strict", "test")):
            share = rng.random((len(GROUPS), len(GROUPS))) * 0.4 + skill * np.eye(len(GROUPS))
            share /= share.sum(axis=1, keepdims=True)
            here = named("functions", model=model, space=space, seed=0, protocol=protocol)
            here["cells"] = cells
            for i, true in enumerate(GROUPS):
                for j, said in enumerate(GROUPS):
                    rows.append(
                        table.row(
                            **here, metric="confusion", item=true, against=said,
                            value=share[i, j], n=10,
                        )
                    )  # fmt: skip
            mean = share.diagonal().mean()
            bounds = {} if protocol == "published" else dict(low=mean - 0.06, high=mean + 0.06)
            rows.append(table.row(**here, metric="macro_recall", value=mean, n=120, **bounds))
    for k, group in enumerate(GROUPS):
        for protocol, cells in (("published", "all"), ("strict", "all"), ("strict", "test")):
            here = named("functions", model="mcvae", space="background-salient", seed=0, n=10)
            here |= {"protocol": protocol, "cells": cells, "metric": "recall_difference"}
            value = 0.8 * (k / 11 - 0.5) + (0 if protocol == "published" else rng.normal(0, 0.05))
            bounds = {} if protocol == "published" else dict(low=value - 0.2, high=value + 0.2)
            rows.append(table.row(**here, item=group, value=value, **bounds))
    return table.to_frame(rows)


def features() -> pd.DataFrame:
    """Ranked features and explained variance of two groups."""
    rows, kinds = [], ("Intensity_MeanIntensity", "RadialDistribution_FracAtD_2of4")
    kind_of = {"actin & adhesion": SHIFTING, "translation": SHIFTING, "tubulin": NOVEL}
    for group, sign, top in (
        ("actin & adhesion", 1, 0.75), ("translation", 1, 0.6), ("tubulin", -1, 0.45),
    ):  # fmt: skip
        for protocol in table.PROTOCOLS:
            here = named("features", model="cellprofiler", space="features", seed=0, item=group)
            here["protocol"] = protocol
            for k in range(1, 16):
                name = f"{'AF750' if sign > 0 else 'GFP'}_{kinds[k % 2]}_{k}"
                place = here | {"against": name, "level": k, "n": 8}
                rows.append(table.row(**place, metric="robust_z", value=sign * (3 - 0.15 * k)))
                rows.append(table.row(**place, metric="n_batches", value=max(8 - k, 0)))
                value = top * (1 - np.exp(-k / 4)) - (0 if protocol == "published" else 0.08)
                bounds = (
                    {} if protocol == "published" else dict(low=value - 0.05, high=value + 0.05)
                )
                here["against"] = kind_of[group]
                rows.append(table.row(**here, metric="r2", level=k, value=value, n=2000, **bounds))
    here = named("features", model="cellprofiler", space="features", seed=0, protocol="strict")
    here |= {"item": SHIFTING, "against": NOVEL, "metric": "r2_difference"}
    rows += [table.row(**here, level=k, value=0.2, low=0.1, high=0.3, n=2000) for k in range(1, 16)]
    here |= {"metric": "r2_mean", "against": "", "n": 2}
    for name, top in ((SHIFTING, 0.6), (NOVEL, 0.4)):
        here["item"] = name
        rows += [
            table.row(**here, level=k, value=top, low=top - 0.2, high=top + 0.2)
            for k in range(1, 16)
        ]
    return table.to_frame(rows)


def mitosis_points(n: int = 96) -> pd.DataFrame:
    """Genes with norms; mitotic factors have a larger background norm."""
    rng = np.random.default_rng(3)
    is_factor = np.arange(n) % 4 == 0
    salient = rng.lognormal(0, 0.7, n)
    background = rng.lognormal(0, 0.6, n) * np.where(is_factor, 2.5, 1)
    index = rng.normal(20, 60, n) + np.where(is_factor, 220, 0)
    return pd.DataFrame(
        {
            "gene": [f"GENE{k}" for k in range(n)],
            "model": "mcvae",
            "seed": 0,
            "salient_norm": salient,
            "background_norm": background,
            "relative_background": background / (salient + background),
            "mitotic_index_percent": index,
            "is_mitotic_factor": is_factor,
            "significant": index > 40,
        }
    )


def mitosis() -> pd.DataFrame:
    """AUROC of both scores and the interval of their difference."""
    rows = []
    for item, value in (("relative_background", 0.86), ("mitotic_index", 0.79)):
        here = named("mitosis", model="mcvae", space="combined", seed=0, item=item, n=40)
        rows.append(table.row(**here, protocol="published", metric="auroc", value=value))
    here = named("mitosis", model="mcvae", space="combined", seed=0, n=40, protocol="strict")
    for against in ("", "threshold x 0.75", "without GENE1"):
        ends = {"value": 0.06, "low": -0.04, "high": 0.17, "against": against}
        rows.append(table.row(**here, metric="auroc_difference", **ends))
    return table.to_frame(rows)


def guides() -> pd.DataFrame:
    """Consistency of guides in each space, over genes and of single genes."""
    rows = []
    for model, skill in {**MODELS, **BASELINES}.items():
        for space in spaces_of(model):
            for seed, cells in itertools.product(
                SEEDS if model in MODELS else (0,), ("all", "test")
            ):
                here = named("guides", model=model, space=space, seed=seed, protocol="strict", n=60)
                here["cells"] = cells
                value = skill * (1 if cells == "all" else 0.5) + 0.01 * seed
                rows += [
                    table.row(
                        **here, metric="mean_average_precision", value=value, low=value - 0.03,
                        high=value + 0.03,
                    ),
                    table.row(**here, metric="mean_average_precision_null", value=0.02),
                    table.row(**here, metric="consistent_fraction", value=2 * value),
                    table.row(**here, metric="mean_average_precision", item="G1", value=0.9),
                ]  # fmt: skip
    return table.with_seeds_folded(table.to_frame(rows))


def corrections() -> pd.DataFrame:
    """Two estimates of each space with each correction."""
    rows = []
    for model in ("mcvae", "cellprofiler"):
        for space, seed, cells, (k, item), metric in itertools.product(
            spaces_of(model),
            SEEDS if model == "mcvae" else (0,),
            ("all", "test"),
            enumerate(("none", "centre", "robust_z", "tvn")),
            ("average_precision", "macro_average_precision", "guide_consistency"),
        ):
            here = named("corrections", model=model, space=space, seed=seed, protocol="strict")
            here |= {"metric": metric, "item": item, "cells": cells, "n": 72}
            value = (0.3 + 0.02 * k) * (1 if cells == "all" else 0.6)
            rows.append(table.row(**here, value=value, low=value - 0.05, high=value + 0.05))
    return table.with_seeds_folded(table.to_frame(rows))


def integration() -> pd.DataFrame:
    """Silhouette of the batch and iLISI of each space with each correction."""
    rows = []
    for model in ("mcvae", "cellprofiler"):
        for space, seed in itertools.product(spaces_of(model), SEEDS if model == "mcvae" else (0,)):
            here = named("integration", model=model, space=space, seed=seed, protocol="strict")
            for metric, start, step in (("batch_silhouette", 0.3, -0.08), ("ilisi", 0.4, 0.12)):
                for k, item in enumerate(("none", "centre", "robust_z", "tvn")):
                    value = start + k * step
                    ends = {"low": value - 0.05, "high": value + 0.05, "units": "8 batches"}
                    rows.append(
                        table.row(**here, metric=metric, item=item, value=value, n=1600, **ends)
                    )
                null = 0.0 if metric == "batch_silhouette" else 0.9
                rows.append(table.row(**here, metric=f"{metric}_null", value=null, n=1600))
    return table.with_seeds_folded(table.to_frame(rows))


def replicates() -> pd.DataFrame:
    """Percent replicating and recall of each space, across batches and plates."""
    rows = []
    for model, skill in (("mcvae", 0.3), ("cellprofiler", 0.5)):
        for space, seed, cells, item, against in itertools.product(
            spaces_of(model), SEEDS if model == "mcvae" else (0,), ("all", "test"),
            ("gene", "guide"), ("batch", "plate"),
        ):  # fmt: skip
            here = named("replicates", model=model, space=space, seed=seed, protocol="strict")
            here |= {"cells": cells, "item": item, "against": against, "n": 96}
            value = skill * (1 if cells == "all" else 0.6) * (1 if item == "gene" else 0.7)
            ends = {"low": value - 0.05, "high": value + 0.05, "units": "96 genes"}
            rows.append(table.row(**here, metric="replicating_fraction", value=value, **ends))
            for k, chance in ((1, 0.01), (10, 0.1)):
                at = here | {"level": k}
                rows.append(table.row(**at, metric="recall", value=value + chance, **ends))
                rows.append(table.row(**at, metric="recall_null", value=chance))
    return table.with_seeds_folded(table.to_frame(rows))


def power() -> pd.DataFrame:
    """Precision and hits that grow with the number of cells."""
    rows = []
    for model, skill in (("mcvae", 0.3), ("cellprofiler", 0.5)):
        for seed in SEEDS if model == "mcvae" else (0,):
            here = named("power", model=model, space="combined", seed=seed, protocol="strict")
            here["cells"] = "unseen"
            for k, level in enumerate((5, 10, 20, 40, 80)):
                for metric in ("average_precision", "macro_average_precision", "hit_fraction"):
                    value = skill * (k + 1) / 5
                    ends = {"low": value - 0.04, "high": value + 0.04, "units": "96 genes, 3 draws"}
                    rows.append(
                        table.row(**here, metric=metric, level=level, value=value, n=96, **ends)
                    )
    return table.with_seeds_folded(table.to_frame(rows))


def truth() -> pd.DataFrame:
    """R² of two axes of each kind, for cells and genes."""
    rows = []
    for model in ("mcvae", "cellprofiler"):
        for space, seed, level in itertools.product(
            spaces_of(model), SEEDS if model == "mcvae" else (0,), ("cell", "gene")
        ):
            here = named("truth", model=model, space=space, seed=seed, protocol="strict", n=900)
            here["cells"] = "unseen"
            for kind, names in (
                ("novel axes", ("damage_foci", "lobed_nucleus")),
                ("natural axes", ("size", "mitosis")),
            ):
                value = 0.7 if (space == "salient") == (kind == "novel axes") else 0.3
                ends = {"value": value, "low": value - 0.1, "high": value + 0.1}
                ends["units"] = "80 tiles"
                rows += [
                    table.row(**here, metric=f"{level}_r2", item=axis, against=kind, **ends)
                    for axis in names
                ]
                rows.append(table.row(**here, metric=f"{level}_mean_r2", item=kind, **ends))
                if space == "salient":
                    between = here | {"space": "salient-background", "item": kind}
                    rows.append(table.row(**between, metric=f"{level}_mean_r2_difference", **ends))
    return table.with_seeds_folded(table.to_frame(rows))


def doses() -> pd.DataFrame:
    """Fourteen compounds of two mechanisms at four doses."""
    rows = []
    for model in ("mcvae", "cellprofiler"):
        for space, seed in itertools.product(spaces_of(model), SEEDS if model == "mcvae" else (0,)):
            here = named("doses", model=model, space=space, seed=seed, protocol="strict", n=90)
            here["cells"] = "unseen"
            for k in range(14):
                of_one = here | {"item": f"CPD-{k}", "cells": "all"}
                q, half = 0.0001 * 3**k, 0.5 + 0.2 * k
                rows.append(table.row(**of_one, metric="trend", value=0.8 - 0.02 * k))
                rows.append(table.row(**of_one, metric="trend_q_value", value=q))
                for dose in (0.3, 1, 3, 10):
                    value = 2 * dose / (dose + half)
                    ends = {"low": value - 0.3, "high": value + 0.3, "units": "4 batches"}
                    response = of_one | {"metric": "response", "level": dose}
                    rows.append(table.row(**response, value=value, **ends))
                ends = {"low": half / 2, "high": half * 2, "units": "cells of 4 batches"}
                rows.append(table.row(**of_one, metric="ed50", value=half, **ends))
            for item in ("", "kinesin inhibitor", "actin inhibitor"):
                metric = "mechanism_precision"
                rows.append(table.row(**here, item=item, metric=metric, value=0.55))
                rows.append(table.row(**here, item=item, metric=f"{metric}_null", value=0.1))
    return table.with_seeds_folded(table.to_frame(rows))


def umap_cells(n: int = 1500) -> pd.DataFrame:
    """Cells of eight batches in two spaces."""
    rng, parts = np.random.default_rng(4), []
    batch = np.repeat(np.arange(len(BATCHES)), n // len(BATCHES) + 1)[:n]
    for space, spread in (("salient", 0.2), ("background", 1.6)):
        parts.append(
            pd.DataFrame(
                {
                    "cell_id": [f"cell{k}" for k in range(n)],
                    "space": space,
                    "batch": np.array(BATCHES)[batch],
                    "fov": rng.choice(["centre", "edge", ""], n),
                    "well_position": rng.choice(["centre", "edge"], n),
                    "x": rng.normal(0, 2, n) + spread * np.cos(batch),
                    "y": rng.normal(0, 2, n) + spread * np.sin(batch),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def umap_guides() -> pd.DataFrame:
    """Guides of twelve groups and of none, in three spaces."""
    rng, parts = np.random.default_rng(5), []
    group = np.repeat([*GROUPS, ""], 20)
    for space in ("combined", "salient", "background"):
        angle = np.repeat(np.arange(len(GROUPS) + 1), 20) * 2 * np.pi / 12
        parts.append(
            pd.DataFrame(
                {
                    "guide": [f"ACGT{k}" for k in range(len(group))],
                    "gene": [f"GENE{k // 4}" for k in range(len(group))],
                    "group": group,
                    "space": space,
                    "x": 4 * np.cos(angle) + rng.normal(0, 0.8, len(group)),
                    "y": 4 * np.sin(angle) + rng.normal(0, 0.8, len(group)),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def alignment() -> pd.DataFrame:
    """Two wells of each plate: one shift per plate and channel, one tile by consensus."""
    rng, rows = np.random.default_rng(5), []
    for plate, well in (batch.split("/") for batch in BATCHES):
        for tile in range(21):
            for channel, shift in (("A594", 7.0), ("AF750", 11.0)):
                dy, dx = shift + rng.normal(0, 0.1, 2)
                method = "consensus" if tile == 3 else "measured"
                rows.append((plate, well, tile, channel, dy, dx, rng.uniform(0.6, 1), method))
    columns = ["plate", "well", "tile", "channel", "dy_px", "dx_px", "confidence", "method"]
    return pd.DataFrame(rows, columns=columns)


def checks() -> pd.DataFrame:
    """Known shifts measured on four tiles."""
    kinds = [("planted shift", "A594", "DAPI", 0.1), ("one file", "GFP", "DAPI", 0.4)]
    rows = [
        ("20260105_6W-SIM001A", "A1", tile, check, channel, against, error + 0.01 * tile, 0.9)
        for tile in range(4)
        for check, channel, against, error in kinds
    ]
    columns = ["plate", "well", "tile", "check", "channel", "against", "error_px", "confidence"]
    return pd.DataFrame(rows, columns=columns)


def overlays() -> pd.DataFrame:
    """A square that is shifted by three pixels, in each plate."""
    y, x = (axis.ravel() for axis in np.indices((24, 24)))
    inside = [np.where((abs(y - at) < 5) & (abs(x - at) < 5), 900, 100) for at in (12, 15)]
    counts = {"fixed_counts": inside[0], "before_counts": inside[1], "after_counts": inside[0]}
    return pd.concat(
        pd.DataFrame({"plate": plate, "moving": moving, "fixed": "DAPI", "y": y, "x": x, **counts})
        for plate in ("20260105_6W-SIM001A", "20260105_6W-SIM001B")
        for moving in ("A594", "AF750")
    )


def montage() -> pd.DataFrame:
    """Three crops of noise of either arm."""
    rng = np.random.default_rng(6)
    y, x = (axis.ravel() for axis in np.indices((12, 12)))
    return pd.concat(
        pd.DataFrame(
            {
                "cell_id": f"{is_ntc}{k}", "is_ntc": is_ntc, "channel": channel, "y": y, "x": x,
                "counts": rng.integers(0, 900, 144),
            }
        )
        for is_ntc in (True, False)
        for k in range(3)
        for channel in ("A594", "AF750", "DAPI", "GFP")
    )  # fmt: skip


def cells_per_tile() -> pd.DataFrame:
    """As many cells as the number of the tile."""
    rows = [(*batch.split("/"), tile, 100 + tile) for batch in BATCHES for tile in range(21)]
    return pd.DataFrame(rows, columns=["plate", "well", "tile", "n_cells"])


def samples() -> pd.DataFrame:
    """Two cells of either arm, whose reconstruction lacks the noise."""
    shown = montage()[lambda t: ~t["cell_id"].str.endswith("2")].drop(columns="counts")
    signal = np.cos(shown["y"] / 3) * np.cos(shown["x"] / 3)
    noise = np.random.default_rng(7).normal(0, 0.1, len(shown))
    dimmed = signal.where(shown["is_ntc"], 0.5 * signal)
    return shown.assign(input=signal + noise, reconstruction=signal, without_s=dimmed)


def metrics() -> pd.DataFrame:
    """Two validations, the first of which is the better one."""
    rows = [
        {"phase": "train", "negative_elbo": -1.0},
        {
            "phase": "validation",
            "negative_elbo": -9.0,
            "negative_log_likelihood": -20.0,
            "kl_per_dimension_z": [0.5, 3.0],
        },
        {
            "phase": "validation",
            "negative_elbo": -8.0,
            "negative_log_likelihood": -30.0,
            "kl_per_dimension_z": [7.0, 7.0],
        },
    ]
    s = {"kl_s": [None, 1.25, 18.0], "nats_without_s": [None, 40.0, 30.0]}
    return pd.DataFrame(rows).assign(kl_per_dimension_s=[None, [1.0, 0.25], [9.0, 9.0]], **s)


def cell_neighbours() -> pd.DataFrame:
    """The salient space of one model tells the gene, the background the well; samples less so."""
    values = {("gene", "salient"): 0.4, ("well", "background"): 0.6, ("stage", "background"): 0.9}
    rows = []
    for item, metric, chance in (
        ("gene", "accuracy", 0.1),
        ("arm", "auroc", 0.5),
        ("well", "accuracy", 0.3),
        ("stage", "auroc", 0.5),
    ):
        common = named("cell_neighbours", model="mcvae", seed=0, n=900, item=item)
        common |= {"protocol": "strict", "cells": "test"}
        rows.append(table.row(**common, space="combined", metric="chance", value=chance))
        for space, kind, form in itertools.product(
            ("combined", "salient", "background"), ("knn", "probe"), ("means", "samples")
        ):
            value = values.get((item, space), chance + 0.02) - 0.01 * (form == "samples")
            rows.append(
                table.row(
                    **common, space=space, metric=f"{kind}_{metric}", against=form, value=value,
                    low=value - 0.03, high=value + 0.03, units="900 cells",
                )
            )  # fmt: skip
    return table.to_frame(rows)


def counterfactuals() -> pd.DataFrame:
    """Two genes; altered controls are taken for the first one, and less so for the second."""
    shares = {
        "control": 0.1, "mean": 0.6, "axis": 0.7, "cell": 0.5, "affected": 0.75, "gene": 0.65,
        "gene_affected": 0.9,
    }  # fmt: skip
    rows = [
        table.row(
            **named("counterfactuals", model="mcvae", seed=0, space="salient", n=40, item=gene),
            protocol="strict", metric="called_gene", against=kind, value=share, low=share - 0.08,
            high=share + 0.08, units="40 cells",
        )
        for gene in ("GENE1", "GENE2") for kind, share in shares.items()
    ]  # fmt: skip
    return table.to_frame(rows)


def counterfactual_cells() -> pd.DataFrame:
    """Cells of 8 px in three channels; what is altered has a brighter middle in two of them."""
    rng, rows = np.random.default_rng(9), []
    y, x = np.mgrid[:8, :8]
    middle = np.exp(-((y - 4) ** 2 + (x - 4) ** 2) / 4)
    kinds = ["control", "control_decoded", "axis", "affected", "gene_decoded", "gene"]
    pictures = [(kind, k) for kind in kinds for k in range(2)] + [
        ("map_affected", -1),
        ("map_gene", -1),
    ]
    for gene, (kind, k), channel in itertools.product(
        ("GENE1", "GENE2"), pictures, ("A594", "DAPI", "GFP")
    ):
        added = 0.8 * middle * (channel != "GFP") * (not kind.startswith("control"))
        value = added + rng.normal(0, 0.05, (8, 8)) - 0.4 * (k >= 0)
        columns = {"y": y.ravel(), "x": x.ravel(), "value": value.ravel()}
        names = {"gene": gene, "kind": kind, "cell": k, "channel": channel}
        rows.append(pd.DataFrame(columns).assign(**names))
    return pd.concat(rows, ignore_index=True)


def hits() -> pd.DataFrame:
    """Thirty genes, half of which are hits."""
    rng, n = np.random.default_rng(8), 30
    is_hit = np.arange(n) < n // 2
    return pd.DataFrame(
        {
            "gene": [f"GENE{k}" for k in range(n)],
            "guide": "",
            "n_cells": 200,
            "distance_combined": np.where(is_hit, 0.5, 0.2) + 0.1 * rng.random(n),
            "q_combined": np.where(is_hit, 0.001, 0.6),
            "map_q_combined": np.where(is_hit, 0.002, 0.6),
            "map_combined": np.where(is_hit, 0.6, 0.2),
            "is_hit": is_hit,
            "arm": "1p",
            "proximity_bias": np.arange(n) == 3,
            "n_guides": 4,
            "n_guides_agree": np.where(is_hit, 3, 0),
            "group": np.resize(["tubulin", ""], n),
            "neighbours": "GENE1; GENE2; GENE3",
            "neighbour_p": 0.02,
            "survives_confounders": is_hit & (np.arange(n) % 3 > 0),
            "n_guides_active": np.where(is_hit, 3, 0),
            "n_batches": 8,
            "n_batches_agree": np.where(is_hit, 8, 4),
            "effect": np.resize(["novel", "shift", ""], n),
        }
    )


TABLES = {
    "complexes": complexes,
    "covariates": covariates,
    "functions": functions,
    "features": features,
    "mitosis": mitosis,
    "mitosis_points": mitosis_points,
    "guides": guides,
    "corrections": corrections,
    "integration": integration,
    "replicates": replicates,
    "power": power,
    "truth": truth,
    "doses": doses,
    "hits": hits,
    "umap_cells": umap_cells,
    "umap_guides": umap_guides,
    "alignment": alignment,
    "checks": checks,
    "overlays": overlays,
    "montage": montage,
    "cells_per_tile": cells_per_tile,
    "cell_neighbours": cell_neighbours,
    "counterfactuals": counterfactuals,
    "counterfactual_cells": counterfactual_cells,
    "samples": samples,
    "metrics": metrics,
}
