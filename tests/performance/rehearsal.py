"""A screen of the size of the paper's, without its images: what memory and time do rules need?

``make rehearsal`` writes shards, embeddings and annotations of config/funk2022.yaml: all of its
cells, wells, tiles, guides and genes, drawn at random. Crops are 2 px wide, because no rule that is
measured looks at more than a few of them. Then every rule that reads tables of all cells runs on
them through Snakemake, one after the other, and its peak memory and time stand in a table, beside
what the rule asks for.

With ``EMBEDDINGS=1`` the screen is one of ``source: embeddings`` instead: a table with 64 numbers
for each cell goes through the whole judgement, to its score card.

``SIZE`` is the fraction of the cells; wells, tiles, guides and genes stay as many. Two sizes give a
slope, and with it the full size: ``make rehearsal SIZE="0.02 0.1"``. With ``WELLS=2`` the screen is
the first two wells, and has classical features. ``PERMUTATIONS`` replaces the configured number.
"""

import argparse
import ast
import subprocess
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from snakemake.utils import update_config

from mcvae_ops.files import parquet_writer, read_table, write_parquet
from mcvae_ops.screen import CONTROL, tile_numbers
from mcvae_ops.shards.format import write_shard
from mcvae_ops.shards.index import chunk_key
from tests.helpers.configurations import merged, whole
from tests.helpers.runs import command, environment, write_configuration

NAME = "rehearsal"
N_CELLS = 23_625_194
N_GENES, N_GUIDES, N_CONTROL_GUIDES = 5_049, 20_445, 250
N_FEATURES = 1_084
MITOTIC_FRACTION = 0.0266  # of control cells
CROP_PX = 2
CELLS_PER_ROW_GROUP = 65_536
EFFECT_SD = 0.3  # of a gene on an embedding, in standard deviations of cells
COMPLEXES, GENES_PER_COMPLEX = 400, 5
GROUPS, GENES_PER_GROUP = 17, 52
MITOTIC_FACTORS = 146
ARMS = 44

CONTRASTED = {"shifting_groups": ["group000"], "novel_groups": ["group001"]}
MODELS_LEFT_OUT = ("vae", "cvae", "cvae_prior_s", "cvae_prior_z")
TEXT = pa.string()
SHARD = pa.schema(
    [
        ("cell_id", TEXT), ("plate", TEXT), ("well", TEXT), ("tile", pa.int32()),
        ("y_px", pa.float32()), ("x_px", pa.float32()), ("guide", TEXT), ("gene", TEXT),
        ("is_ntc", pa.bool_()), ("cell_cycle_stage", TEXT),
    ]
)  # fmt: skip

RULES = {
    "index_shards": "shards/index.parquet",
    "assign_splits": "shards/splits.parquet",
    "training_cells": "shards/cells.arrow",
    "shard_statistics": "shards/statistics.parquet",
    "sample_crops": "qc/cells_per_tile.parquet",
    "join_embeddings": "embeddings/mcvae/0.parquet",
    "random_embedding": "embeddings/random/0.parquet",
    "shortcut_embedding": "embeddings/density/0.parquet",
    "mitotic_index": "profiles/mitotic_index.parquet",
    "aggregate_profiles": "profiles/mcvae/0/guides.parquet",
    "correct_profiles": "profiles/mcvae/0/corrected_guides.parquet",
    "export_cells": "embeddings/mcvae/0/20200202_6W-LaC024A/A1.h5ad",
    "batch_integration": "benchmarks/integration.parquet",
    "cell_neighbours": "benchmarks/cell_neighbours.parquet",
    "replicate_agreement": "benchmarks/replicates.parquet",
    "power_curve": "benchmarks/power.parquet",
    "covariates": "benchmarks/covariates.parquet",
    "guide_significance": "profiles/guide_significance.parquet",
    "hits": "hits.parquet",
    "umap_profiles": "profiles/mcvae/0/umap.parquet",
    "umap_cells": "benchmarks/mcvae/0/umap_cells.parquet",
    "cellprofiler_pca": "embeddings/cellprofiler/0.parquet",
    "feature_ranking": "benchmarks/features.parquet",
    "altered_features": "altered_features.parquet",
}
"""Rules that read tables of all cells, in an order in which they can run, and a file of each."""
JUDGEMENT = {
    "list_feature_parts": "manifest/feature_parts.parquet",
    "split_cells": "manifest/features.tsv",
    "index_cells": "shards/index.parquet",
    "assign_splits": "shards/splits.parquet",
    "take_embedding": "embeddings/mcvae/0.parquet",
    "random_embedding": "embeddings/random/0.parquet",
    "shortcut_embedding": "embeddings/density/0.parquet",
    "mitotic_index": "profiles/mitotic_index.parquet",
    "aggregate_profiles": "profiles/mcvae/0/guides.parquet",
    "contents": "benchmarks/contents.parquet",
    "guide_consistency": "benchmarks/guides.parquet",
    "cell_neighbours": "benchmarks/cell_neighbours.parquet",
    "complexes": "benchmarks/complexes.parquet",
    "mitosis": "benchmarks/mitosis.parquet",
    "replicate_agreement": "benchmarks/replicates.parquet",
    "distance_ladder": "benchmarks/ladder.parquet",
    "covariates": "benchmarks/covariates.parquet",
    "guide_significance": "profiles/guide_significance.parquet",
    "functions": "benchmarks/functions.parquet",
    "power_curve": "benchmarks/power.parquet",
    "hits": "hits.parquet",
    "score_card": "card.json",
}
"""The same of the judgement of an embedding that others made, beside random and the shortcuts."""
OF_FEATURES = ("cellprofiler_pca", "feature_ranking", "altered_features")
OF_SHARDS = (
    "index_shards", "assign_splits", "training_cells", "shard_statistics", "sample_crops",
    "random_embedding", "shortcut_embedding", "mitotic_index", "cellprofiler_pca",
    "feature_ranking",
)  # fmt: skip
"""Rules that read no embedding: it is written only for others."""


class Library(NamedTuple):
    """What the cells of the screen carry: guide -> gene, controls last."""

    guides: np.ndarray
    genes: np.ndarray
    gene_of: np.ndarray

    @property
    def is_ntc(self) -> np.ndarray:
        """Which guides are controls, (guide,)."""
        return self.gene_of == len(self.genes) - 1


def library(n_genes: int, n_guides: int, n_controls: int) -> Library:
    """Return guides that are dealt out to genes, and control guides."""
    guides = np.array(
        [f"{k:020d}".translate(str.maketrans("0123", "ACGT")) for k in range(n_guides)]
    )
    genes = np.array([*(f"GENE{k}" for k in range(n_genes)), CONTROL])
    gene_of = np.arange(n_guides) % n_genes
    gene_of[n_guides - n_controls :] = n_genes
    return Library(guides, genes, gene_of)


def configuration(name: str, wells: int | None = None, permutations: int | None = None) -> dict:
    """The paper's screen with one trained model; if asked, of the first `wells` of one plate."""
    config = merged("funk2022")
    update_config(config, {"screen": {"name": name}, "models": dict.fromkeys(MODELS_LEFT_OUT)})
    update_config(config, {"benchmarks": {"features": CONTRASTED}})
    if permutations is not None:
        update_config(config, {"profiles": {"permutations": permutations}})
    if wells is not None:
        plate, names = next(iter(config["screen"]["plates"].items()))
        config["screen"]["plates"] = {plate: names[:wells]}
    return whole(config)


def write_screen(folder: Path, config: dict, size: float, carried: Library) -> None:
    """Write what rules begin with: shards and annotations; see `write_embeddings`, too.

    Parameters
    ----------
    folder
        Of the results of the screen.
    config
        The configuration of the run.
    size
        Fraction of the cells of the paper's screen.
    carried
        Guides and genes.
    """
    plates, tiles = config["screen"]["plates"], tile_numbers(config["screen"]["tiles"])
    wells = [(plate, well) for plate, names in plates.items() for well in names]
    per_tile = N_CELLS * size / (34 * 1281)
    n_chunk, channels = config["crop"]["tiles_per_chunk"], config["screen"]["channels"]
    names = [channel["name"] for channel in channels]
    for number, (plate, well) in enumerate(wells):
        rng = np.random.default_rng([0, number])
        for chunk, first in enumerate(range(0, len(tiles), n_chunk)):
            cells = cells_of(plate, well, tiles[first : first + n_chunk], per_tile, carried, rng)
            for arm, rows in (("ntc", cells["is_ntc"]), ("perturbed", ~cells["is_ntc"])):
                part = cells[rows]
                crops = rng.integers(
                    100, 4000, (len(part), len(names), CROP_PX, CROP_PX), np.uint16
                )
                path = folder / f"crops/{plate}/{well}/{chunk:03d}.{arm}.npy"
                table = pa.Table.from_pandas(part[SHARD.names], SHARD, preserve_index=False)
                write_shard(crops, np.arange(len(part)), table, names, path)
    write_annotations(folder / "annotations", carried.genes[:-1])


def cells_of(
    plate: str,
    well: str,
    tiles: Sequence[int],
    per_tile: float,
    carried: Library,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return the cells of some tiles, in the columns of a shard, and the number of their gene."""
    counts = rng.poisson(per_tile, len(tiles))
    tile = np.repeat(tiles, counts)
    guide = rng.integers(len(carried.guides), size=len(tile))
    place = [np.arange(n) for n in counts]
    within = np.concatenate(place) if place else np.array([], int)
    y_px, x_px = rng.uniform(50, 2910, (2, len(tile))).astype(np.float32)
    mitotic = rng.random(len(tile)) < MITOTIC_FRACTION
    return pd.DataFrame(
        {
            "cell_id": [f"{plate}_{well}_{t}_{k}" for t, k in zip(tile, within, strict=True)],
            "plate": plate,
            "well": well,
            "tile": tile.astype(np.int32),
            "y_px": y_px,
            "x_px": x_px,
            "guide": carried.guides[guide],
            "gene": carried.genes[carried.gene_of[guide]],
            "is_ntc": carried.is_ntc[guide],
            "cell_cycle_stage": np.where(mitotic, "mitotic", "interphase"),
        }
    )


def cells_of_shards(folder: Path) -> pa.Table:
    """Return name and gene of all cells, in the order of the index."""
    shards = sorted(map(str, folder.glob("crops/*/*/*.npy")), key=chunk_key)
    parts = [read_table(Path(path).with_suffix(".parquet"), ["cell_id", "gene"]) for path in shards]
    return pa.concat_tables(part.replace_schema_metadata(None) for part in parts)


def write_embeddings(folder: Path, carried: Library, n_parts: int) -> None:
    """Write the parts of mcVAE's embedding, and CellProfiler's: noise, and effects of genes."""
    cells = cells_of_shards(folder)
    gene_of = pc.index_in(cells["gene"], pa.array(carried.genes)).to_numpy()
    spaces = {"mcvae": [*_names("s", 32), *_names("z", 32)], "cellprofiler": _names("z", 64)}
    effects = np.random.default_rng(1).normal(0, EFFECT_SD, (len(carried.genes), 64))
    effects[-1] = 0
    ends = np.linspace(0, len(cells), n_parts + 1).astype(int)
    parts = {f"mcvae/0/{k}": (ends[k], ends[k + 1]) for k in range(n_parts)}
    for number, (path, (first, stop)) in enumerate(
        {**parts, "cellprofiler/0": (0, len(cells))}.items()
    ):
        model = path.partition("/")[0]
        columns = [("cell_id", pa.string()), *((name, pa.float32()) for name in spaces[model])]
        schema = pa.schema(columns, metadata={"model": model, "seed": "0"})
        rng = np.random.default_rng([2, number])
        with parquet_writer(folder / f"embeddings/{path}.parquet", schema) as writer:
            for start in range(first, stop, CELLS_PER_ROW_GROUP):
                n = min(CELLS_PER_ROW_GROUP, stop - start)
                latent = rng.standard_normal((n, 64), np.float32)
                latent += effects[gene_of[start : start + n]].astype(np.float32)
                names = cells["cell_id"].slice(start, n).combine_chunks()
                writer.write_table(pa.Table.from_arrays([names, *latent.T.copy()], schema=schema))


def write_features(folder: Path, plate: str) -> None:
    """Write noise as classical features, a row group for each chunk of tiles."""
    columns = [("cell_id", pa.string())]
    columns += [(f"f{k:04d}", pa.float32()) for k in range(N_FEATURES)]
    with parquet_writer(folder / f"features/{plate}.parquet", pa.schema(columns)) as writer:
        for number, ntc in enumerate(sorted(folder.glob(f"crops/{plate}/*/*.ntc.parquet"))):
            perturbed = ntc.with_name(ntc.name.replace("ntc", "perturbed"))
            ids = [read_table(path, ["cell_id"])["cell_id"] for path in (ntc, perturbed)]
            names = pa.chunked_array([chunk for part in ids for chunk in part.chunks])
            rng = np.random.default_rng([4, number])
            values = rng.standard_normal((N_FEATURES, len(names)), np.float32)
            writer.write_table(
                pa.Table.from_arrays([names.combine_chunks(), *values], schema=writer.schema)
            )


def _names(space: str, n: int) -> list[str]:
    return [f"{space}_{k:02d}" for k in range(n)]


def write_annotations(folder: Path, genes: np.ndarray) -> None:
    """Write complexes, pairs, functional groups, mitotic factors and chromosome arms."""
    rng = np.random.default_rng(3)

    def drawn(prefix: str, sets: int, size: int) -> Iterator[tuple[str, str]]:
        size = min(size, len(genes) // sets)
        for k, members in enumerate(np.split(rng.permutation(genes)[: sets * size], sets)):
            yield from ((f"{prefix}{k:03d}", gene) for gene in members)

    complexes = pd.DataFrame(drawn("complex", min(COMPLEXES, len(genes) // 3), GENES_PER_COMPLEX))
    groups = pd.DataFrame(drawn("group", GROUPS, GENES_PER_GROUP))
    factors = pd.DataFrame({"gene": rng.permutation(genes)[:MITOTIC_FACTORS]})
    arms = pd.DataFrame(
        {"gene": genes, "arm": [f"{k % ARMS // 2 + 1}{'pq'[k % 2]}" for k in range(len(genes))]}
    )
    pairs = pd.DataFrame({"source": [], "gene_a": [], "gene_b": []}, dtype=str)
    for name, table in {
        "complexes": complexes.set_axis(["complex", "gene"], axis=1),
        "functional_groups": groups.set_axis(["group", "gene"], axis=1)[["gene", "group"]],
        "mitotic_factors": factors,
        "wider_mitotic_factors": factors,
        "chromosome_arms": arms,
        "pairs": pairs,
    }.items():
        write_parquet(table, folder / f"{name}.parquet")


def embedded_configuration(
    name: str, wells: int | None = None, permutations: int | None = None
) -> dict:
    """The paper's screen as `source: embeddings`; see `configuration`."""
    paper = merged("funk2022")
    profiles = {} if permutations is None else {"permutations": permutations}
    screen = {key: paper["screen"][key] for key in ("plates", "tiles", "tile_size_px", "well_grid")}
    if wells is not None:
        plate, names = next(iter(screen["plates"].items()))
        screen["plates"] = {plate: names[:wells]}
    return {
        "source": "embeddings",
        "screen": screen | {"name": name, "control": CONTROL},
        "cells": {"table": "tables/{plate}.parquet", "columns": {"stage": "cell_cycle_stage"}},
        "embeddings": {"mcvae": {"spaces": {"salient": "s_*", "background": "z_*"}}},
        "archive": {"annotations": paper["archive"]["annotations"]},
        "profiles": profiles,
        "benchmarks": {"features": CONTRASTED},
    }


def write_tables(folder: Path, config: dict, size: float, carried: Library) -> None:
    """Write a table of cells and their vectors for every plate, annotations, and the configuration.

    Parameters
    ----------
    folder
        Of the run.
    config, size, carried
        See `write_screen`.
    """
    tiles, per_tile = tile_numbers(config["screen"]["tiles"]), N_CELLS * size / (34 * 1281)
    effects = np.random.default_rng(1).normal(0, EFFECT_SD, (len(carried.genes), 64))
    effects[-1] = 0
    told = [field for field in SHARD if field.name not in ("cell_id", "is_ntc")]
    schema = pa.schema([*told, *((n, pa.float32()) for n in (*_names("s", 32), *_names("z", 32)))])
    number = {gene: k for k, gene in enumerate(carried.genes)}
    for plate, wells in config["screen"]["plates"].items():
        with parquet_writer(folder / f"tables/{plate}.parquet", schema) as writer:
            for k, well in enumerate(wells):
                rng = np.random.default_rng([zlib.crc32(plate.encode()), k])
                cells = cells_of(plate, well, tiles, per_tile, carried, rng)
                latent = rng.standard_normal((len(cells), 64), np.float32)
                latent += effects[cells["gene"].map(number)].astype(np.float32)
                columns = [pa.array(cells[field.name], field.type) for field in told]
                writer.write_table(
                    pa.Table.from_arrays([*columns, *latent.T.copy()], schema=schema)
                )
    annotations = folder / f"results/{config['screen']['name']}/annotations"
    write_annotations(annotations, carried.genes[:-1])
    (annotations / "matched.tsv").touch()  # is there, but not read
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def rehearse(folder: Path, name: str, files: Mapping[str, str]) -> pd.DataFrame:
    """Run rules one after the other; return rule, used and requested memory and time of each.

    Of a rule with several jobs, the memory is that of the largest, and times are added.
    """
    subprocess.run(run_of(folder, name, files), env=environment(), check=False)
    return measured(folder / f"benchmarks/{name}").reindex(list(files))


def run_of(folder: Path, name: str, files: Mapping[str, str]) -> list[str]:
    """The command of `rehearse`: the rules, and no others, one after the other."""
    return command(
        folder, *(f"results/{name}/{file}" for file in files.values()),
        "--cores", "2", "--allowed-rules", *files,
        "--rerun-triggers", "mtime", "--retries", "0", "--keep-going", "--notemp",
        "--default-resources", "alone=1", "attempt=attempt", "--resources", "alone=1",
    )  # fmt: skip


def measured(folder: Path) -> pd.DataFrame:
    """Return memory and time of each rule, used and asked, from the files of Snakemake."""
    rows = []
    for path in folder.rglob("*.tsv"):
        job = pd.read_csv(path, sep="\t", na_values=["-"]).iloc[-1]
        asked = ast.literal_eval(job["resources"])
        rows.append(
            {
                "rule": job["rule_name"],
                "GB": job["max_rss"] / 1000, "CPU min": job["cpu_time"] / 60,
                "asked GB": asked["mem_mb"] / 1000, "asked min": asked["runtime"],
            }
        )  # fmt: skip
    return (
        pd.DataFrame(rows)
        .groupby("rule")
        .agg({"GB": "max", "CPU min": "sum", "asked GB": "max", "asked min": "max"})
    )


def extrapolated(tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """Return memory and time of each rule at each size, and at size 1 on a line through two."""
    sizes = sorted(tables)
    small, large = sizes[0], sizes[-1]
    columns = {}
    for name in ("GB", "CPU min"):
        columns |= {f"{name} at {size:g}": tables[size][name] for size in sizes}
        if large > small:
            slope = (tables[large][name] - tables[small][name]) / (large - small)
            columns[f"{name} at 1"] = tables[large][name] + slope.clip(lower=0) * (1 - large)
    asked = tables[large][["asked GB", "asked min"]]
    return pd.DataFrame(columns).join(asked).round(2)


def write_inputs(folder: Path, config: dict, size: float, rules: Sequence[str]) -> None:
    """Write what the rules begin with, unless an earlier rehearsal has."""
    results = folder / f"results/{config['screen']['name']}"
    carried = library(N_GENES, N_GUIDES, N_CONTROL_GUIDES)
    if not (results / "annotations").exists():
        write_screen(results, config, size, carried)
    has_embeddings = (results / "embeddings/cellprofiler/0.parquet").exists()
    if not has_embeddings and set(rules) - set(OF_SHARDS):
        write_embeddings(results, carried, config["profiles"]["embedding_jobs"])
    if set(rules) & set(OF_FEATURES) and not (results / "features").exists():
        for plate in config["screen"]["plates"]:
            write_features(results, plate)
    write_configuration(config, folder)


def main() -> None:
    """Write screens of some sizes, run the rules on each, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the screens are written")
    parser.add_argument("--sizes", type=float, nargs="+", default=[1.0])
    parser.add_argument("--rules", nargs="+", choices=sorted({*RULES, *JUDGEMENT}))
    parser.add_argument("--embeddings", action="store_true", help="judge a table of embeddings")
    parser.add_argument("--wells", type=int, help="the first wells alone, with features")
    parser.add_argument("--permutations", type=int)
    arguments = parser.parse_args()
    every = JUDGEMENT if arguments.embeddings else RULES
    is_left_out = () if arguments.wells or arguments.embeddings else OF_FEATURES
    rules = arguments.rules or [rule for rule in every if rule not in is_left_out]
    tables, suffix = {}, "-embeddings" if arguments.embeddings else ""
    for size in arguments.sizes:
        wells = f"-{arguments.wells}" if arguments.wells else ""
        folder = arguments.folder / f"{size:g}{wells}{suffix}"
        folder.mkdir(parents=True, exist_ok=True)
        if arguments.embeddings:
            config = embedded_configuration(NAME, arguments.wells, arguments.permutations)
            if not (folder / "config.yaml").exists():
                carried = library(N_GENES, N_GUIDES, N_CONTROL_GUIDES)
                write_tables(folder, config, size, carried)
        else:
            config = configuration(NAME, arguments.wells, arguments.permutations)
            write_inputs(folder, config, size, rules)
        written = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{folder}: {written / 1e9:.1f} GB", flush=True)
        tables[size] = rehearse(folder, NAME, {rule: every[rule] for rule in rules})
    print(extrapolated(tables).to_string())


if __name__ == "__main__":
    main()
