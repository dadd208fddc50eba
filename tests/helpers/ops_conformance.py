"""What the OPS Data Standard 0.1.0 demands of a collection, sentence by sentence.

From the text of the standard (github.com/chanzuckerberg/ops-schema, standards/ops/0.1.0), without a
look at what writes the files. Each function yields what is wrong. Not checked: whether a gene ID is
in GENCODE 48 and a term in its ontology, for which one needs both.
"""

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import yaml
import zarr

SUBMITTER = {
    "experiment": {
        "title", "organism_ontology_term_id", "organism", "tissue_ontology_term_id", "tissue",
        "tissue_type", "disease_ontology_term_id", "disease", "development_stage_ontology_term_id",
        "development_stage", "assay_ontology_term_id", "assay",
    },
    "cellular": {"growth_conditions", "plate_type"},
    "library": {"vector"},
    "phenotype": {"objective", "exposure_time_ms"},
    "microscope": {"system"},
    "pipeline": {"github", "version"},
}  # fmt: skip
SHAPE = ("area", "eccentricity", "form_factor", "solidity")
INTENSITY = ("mean", "integrated", "mass_displacement", "mean_edge", "std_edge", "mean_frac_0",
             "mean_frac_3")  # fmt: skip
FEATURE_TYPES = {"shape", "intensity", "correlation", "texture", "granularity", "categorical"}
IUPAC = "[ABCDGHKMNRSTVWY]"


def violations(root: Path) -> list[str]:
    """Return every violation in a collection."""
    found = [f"collection: {what}" for what in _collection(root)]
    aggregations = [folder for folder in root.iterdir() if folder.is_dir()]
    for folder in aggregations:
        library = pd.read_csv(
            folder / "metadata/perturbation_library.csv", dtype=str, keep_default_na=False
        )
        cells = pd.read_parquet(folder / "cell_data.parquet")
        experiment = yaml.safe_load((folder / "metadata/experimental_metadata.yaml").read_text())
        stores = sorted(folder.glob("*.zarr"))
        plates = [channel_names(store) for store in stores]
        features = pd.read_csv(folder / "metadata/feature_definitions.csv", keep_default_na=False)
        parts = {
            "experiment": _experiment(experiment, folder.name, plates),
            "library": _library(library),
            "cells": _cells(cells, library),
            "features": _features(features, plates),
        }
        parts |= {f"image {store.name}": _store(store) for store in stores}
        for visualisation in (folder / "visualizations").iterdir():
            adata = anndata.read_h5ad(visualisation / "aggregated_data.h5ad")
            of = visualisation.name
            parts[f"{of} aggregated"] = _aggregated(adata, library, cells, plates)
            parts[f"{of} examples"] = _examples(
                visualisation / "examples.zarr", adata, library, plates
            )
        found += [f"{part}: {what}" for part, wrong in parts.items() for what in wrong]
    return found


def channel_names(store: Path) -> list[str]:
    attributes = json.loads((store / "zarr.json").read_text())["attributes"]
    return [channel["name"] for channel in attributes["channels_metadata"]]


def _collection(root: Path) -> Iterator[str]:
    collection = yaml.safe_load((root / "collection_metadata.yaml").read_text())["collection"]
    if not isinstance(collection.get("title"), str) or not collection["title"].strip():
        yield "collection.title"
    doi = collection.get("publication_doi")
    if doi is not None and not re.fullmatch(r"https://doi\.org/10\.\d{4,9}/\S+", doi):
        yield "collection.publication_doi is no DOI URI"


def _experiment(metadata: dict, folder: str, plates: list[list[str]]) -> Iterator[str]:
    for block, names in SUBMITTER.items():
        yield from (f"{block}.{name}" for name in names - metadata.get(block, {}).keys())
    experiment = metadata["experiment"]
    if experiment["title"].lower().replace(" ", "_") != folder:
        yield f"the folder is {folder}, the title {experiment['title']}"  # SHOULD
    if experiment["organism_ontology_term_id"] not in {
        "NCBITaxon:9606", "NCBITaxon:10090", "NCBITaxon:7955",
    }:  # fmt: skip
        yield "V-9 organism"
    term, kind = experiment["tissue_ontology_term_id"], experiment["tissue_type"]
    stage = experiment["development_stage_ontology_term_id"]
    forms = {"cell line": r"CVCL_[0-9A-Z]+", "cell culture": r"CL:\d+", "tissue": r"UBERON:\d+",
             "organoid": r"UBERON:\d+"}  # fmt: skip
    if kind not in forms or not re.fullmatch(forms[kind], term):
        yield "V-1, V-1b, V-2 tissue"
    if kind == "cell line" and (stage, experiment["development_stage"]) != ("na", "na"):
        yield "V-1b development stage"
    if not re.fullmatch(r"PATO:0000461|MONDO:\d+", experiment["disease_ontology_term_id"]):
        yield "disease"
    if not re.fullmatch(r"EFO:\d+", experiment["assay_ontology_term_id"]):
        yield "assay"
    times = metadata["phenotype"]["exposure_time_ms"]
    if not all(isinstance(time, int) for time in times) or any(
        len(times) != len(channels) for channels in plates
    ):
        yield "phenotype.exposure_time_ms"
    if not isinstance(metadata["pipeline"]["version"], int | float):
        yield "pipeline.version is no number"


def _library(library: pd.DataFrame) -> Iterator[str]:
    for name, pattern in (
        ("perturbation_id", "(?!na$).+"),
        ("gene_id", r"ENSG\d+|non-targeting"),
        ("gene_symbol", ".+"),
        ("barcode", "[ACGT]+"),
        ("role", "targeting|control"),
        ("protospacer_sequence", "[ACGT]{14,22}"),
        ("protospacer_adjacent_motif", f"3' {IUPAC}+"),
    ):
        if name not in library:
            yield f"no column {name}"
        elif not library[name].str.fullmatch(pattern).all():
            yield f"{name}: {library[name][~library[name].str.fullmatch(pattern)].iloc[0]!r}"
    if not library["barcode"].is_unique:
        yield "barcode is not unique"
    is_control = library["role"] == "control"
    if not library["control_type"][is_control].isin(["non-targeting", "intergenic"]).all():
        yield "V-10 control_type of controls"
    if (library["control_type"][~is_control] != "").any():
        yield "V-11 control_type of targeting guides"
    for name in ("gene_id", "gene_symbol"):
        if ((library[name] == "non-targeting") != is_control).any():
            yield f"{name} of controls"


def _cells(cells: pd.DataFrame, library: pd.DataFrame) -> Iterator[str]:
    kinds = {"plate": "O", "well_row": "O", "well_col": "i", "tile": "i", "x": "f", "y": "f",
             "cell_uid": "O", "barcode": "O", "perturbation_id": "O"}  # fmt: skip
    for name, kind in kinds.items():
        if name not in cells:
            yield f"no column {name}"
        elif cells[name].isna().any():
            yield f"{name} has no value somewhere"
        elif kind in "if" and cells[name].dtype.kind != kind:
            yield f"{name} is {cells[name].dtype}"
    if not cells["well_row"].str.fullmatch("[A-Z]").all():
        yield "well_row"
    well = cells["well_row"] + cells["well_col"].astype(str)
    start = cells["plate"] + "_" + well + "_"
    pairs = zip(cells["cell_uid"], start, strict=True)
    rest = [uid.removeprefix(s) if uid.startswith(s) else "" for uid, s in pairs]
    tiles = [int(part.partition("_")[0] or -1) for part in rest]
    if not cells["cell_uid"].is_unique or tiles != cells["tile"].tolist():
        yield "cell_uid"
    pairs = library[["barcode", "perturbation_id"]].drop_duplicates()
    if len(cells.merge(pairs, on=["barcode", "perturbation_id"])) != len(cells):
        yield "barcode and perturbation_id are not in the library"
    texts = cells.select_dtypes("object")
    if any("|" in name for name in cells) or texts.apply(
        lambda column: column.astype(str).str.contains("|", regex=False).any()
    ).any():  # fmt: skip
        yield "a pipe character"


def _features(features: pd.DataFrame, plates: list[list[str]]) -> Iterator[str]:
    for name in ("feature_id", "feature_name", "feature_type"):
        if name not in features or (features[name] == "").any():
            yield name
    if not features["feature_id"].is_unique:
        yield "feature_id is not unique"
    if not set(features["feature_type"]) <= FEATURE_TYPES:
        yield "feature_type"
    for channels in plates:
        if not set(features["channel"]) <= {*channels, ""}:
            yield "channel"


def standardised(channels: list[str]) -> dict[str, str]:
    """Return the type of each feature of the standardised set, for some channels."""
    found = {}
    for compartment in ("nucleus", "cell"):
        found |= {f"{compartment}_{name}": "shape" for name in SHAPE}
        found |= {f"{compartment}_{c}_{name}": "intensity" for c in channels for name in INTENSITY}
        found |= {f"{compartment}_correlation_{a}_{b}": "correlation"
                  for a, b in combinations(sorted(channels), 2)}  # fmt: skip
    return found


def _aggregated(
    adata: anndata.AnnData, library: pd.DataFrame, cells: pd.DataFrame, plates: list[list[str]]
) -> Iterator[str]:
    unit = list(adata.uns["observation_unit"])
    if adata.obs.index.name != "aggregate_id" or not adata.obs.index.is_unique:
        yield "obs index"
    if adata.obs[unit].astype(str).agg("|".join, axis=1).tolist() != adata.obs_names.tolist():
        yield "aggregate_id"
    if not set(adata.obs["perturbation_id"]) <= set(library["perturbation_id"]):
        yield "perturbation_id"
    controls = library.loc[library["role"] == "control", "perturbation_id"]
    if not set(controls) & set(adata.obs["perturbation_id"]):
        yield "V-12 no control"
    counts = cells.groupby(unit[0] if len(unit) == 1 else unit).size()
    if adata.obs["n_cells"].tolist() != counts.reindex(adata.obs_names).tolist():
        yield "V-14 n_cells"
    if not np.issubdtype(adata.obs["n_cells"].dtype, np.integer):
        yield "n_cells is no integer"
    if adata.var.index.name != "feature_id" or not adata.var.index.is_unique:
        yield "var index"
    for channels in plates[:1]:
        known = standardised(channels)
        if outside := set(adata.var_names) - set(known):
            yield f"features outside the standardised set: {sorted(outside)[:3]}"
        elif [known[name] for name in adata.var_names] != adata.var["feature_type"].tolist():
            yield "feature_type"
    compartment = [name.partition("_")[0] for name in adata.var_names]
    if compartment != adata.var["compartment"].tolist() or (adata.var["feature_name"] == "").any():
        yield "compartment or feature_name"
    if adata.X.dtype != np.float32:
        yield "X"
    for name in ("p_values", "neg_log10_fdr"):
        if adata.layers[name].dtype != np.float32 or adata.layers[name].shape != adata.shape:
            yield f"layer {name}"
    for name, places in adata.obsm.items():
        if places.shape != (adata.n_obs, 2) or places.dtype != np.float32:
            yield f"obsm {name}"
        if not np.isfinite(places).all():
            yield f"obsm {name} has no place for some rows"
    if adata.uns["default_embedding"] not in adata.obsm:
        yield "default_embedding"
    if adata.uns["schema_version"] != "0.1.0" or not adata.uns["title"].strip():
        yield "schema_version or title"
    threshold = adata.uns["neg_log10_fdr_threshold"]
    if not (np.isfinite(threshold) and threshold > 0):
        yield "neg_log10_fdr_threshold"


def _image(group: zarr.Group, channels: list[str]) -> Iterator[str]:
    """Levels 3 and 4: an image and its arrays."""
    if group.metadata.zarr_format != 3 or group.attrs["ome"]["version"] != "0.5":
        yield "Zarr 3, NGFF 0.5"
    for image in group.attrs["ome"]["multiscales"]:
        axes = [(axis["name"], axis["type"], axis.get("unit")) for axis in image["axes"]]
        if axes != [
            ("T", "time", "second"), ("C", "channel", None), ("Z", "space", "micrometer"),
            ("Y", "space", "micrometer"), ("X", "space", "micrometer"),
        ]:  # fmt: skip
            yield f"axes {axes}"
        if not image["name"]:
            yield "name"
        for level in image["datasets"]:
            (scale,) = level["coordinateTransformations"]
            array = group[level["path"]]
            if scale["type"] != "scale" or len(scale["scale"]) != 5 or 0 in scale["scale"]:
                yield "coordinateTransformations"
            if array.ndim != 5 or array.shape[1] != len(channels):
                yield f"shape {array.shape}"
            yield from _codecs(array.metadata.to_dict()["codecs"])
    labels = [channel["label"] for channel in group.attrs["ome"]["omero"]["channels"]]
    if labels != channels:
        yield f"channels {labels}"


def _codecs(codecs: list[dict]) -> Iterator[str]:
    codecs = list(codecs)
    if codecs[0]["name"] == "sharding_indexed":
        index = [codec["name"] for codec in codecs[0]["configuration"]["index_codecs"]]
        codecs = list(codecs[0]["configuration"]["codecs"])
        if index != ["bytes", "crc32c"]:
            yield f"index_codecs {index}"
    if [codec["name"] for codec in codecs] not in (["bytes", "zstd"], ["bytes", "blosc"]):
        yield f"codecs {codecs}"


def _store(path: Path) -> Iterator[str]:
    """Levels 0 to 4 of a store; ours have no labels."""
    for folder in (path, *(p for p in path.rglob("*") if p.is_dir())):
        is_chunk = folder.name == "c" or "c" in folder.relative_to(path).parts
        if not is_chunk and not (folder / "zarr.json").exists():
            yield f"no zarr.json in {folder.relative_to(path)}"
    store = zarr.open_group(path, mode="r")
    plate, channels = store.attrs["ome"]["plate"], store.attrs["channels_metadata"]
    for key in ("version", "name", "field_count", "acquisitions", "rows", "columns", "wells"):
        if key not in plate:
            yield f"plate.{key}"
    names = [channel["name"] for channel in channels]
    if [channel["index"] for channel in channels] != list(range(len(channels))):
        yield "channels_metadata.index"
    for channel in channels:
        if channel["channel_type"] not in {"fluorescence", "chromogenic", "labelfree", "predicted"}:
            yield "channel_type"
        biology = {"biological_target", "marker", "marker_type", "full_label"}
        if not channel["description"] or not biology <= channel["biological_annotation"].keys():
            yield "description or biological_annotation"
    acquisitions = {acquisition["id"] for acquisition in plate["acquisitions"]}
    for well in plate["wells"]:
        row, column = well["path"].split("/")
        places = ("rows", "rowIndex", row), ("columns", "columnIndex", column)
        if any(plate[names][well[key]]["name"] != name for names, key, name in places):
            yield f"well {well}"
        images = store[well["path"]].attrs["ome"]["well"]["images"]
        if len(images) > plate["field_count"]:
            yield "field_count"
        for image in images:
            if image["acquisition"] not in acquisitions:
                yield "acquisition"
            yield from _image(store[f"{well['path']}/{image['path']}"], names)


def _examples(
    path: Path, adata: anndata.AnnData, library: pd.DataFrame, plates: list[list[str]]
) -> Iterator[str]:
    root = zarr.open_group(path, mode="r")
    if "perturbation_id" not in root.attrs:
        yield "no perturbation_id at the root"
    known = set(zip(library["perturbation_id"], library["barcode"], strict=True))
    for combination in (folder for folder in path.iterdir() if folder.is_dir()):
        if any(combination.name != "_".join(channels) for channels in plates):
            yield f"channel combination {combination.name}"
        names = plates[0] if plates else combination.name.split("_")
        perturbations = {folder.name: folder for folder in combination.iterdir() if folder.is_dir()}
        if set(perturbations) != set(adata.obs_names):
            yield "not every aggregate_id has crops"
        for name, folder in perturbations.items():
            barcodes = [barcode for barcode in folder.iterdir() if barcode.is_dir()]
            if not 1 <= len(barcodes) <= 10:
                yield f"{len(barcodes)} barcodes of {name}"
            for barcode in barcodes:
                if (name, barcode.name) not in known:
                    yield f"{name}/{barcode.name} is not in the library"
                crops = [crop for crop in barcode.iterdir() if crop.is_dir()]
                if not 1 <= len(crops) <= 30:
                    yield f"{len(crops)} crops of {barcode.name}"
                for crop in crops:
                    group = root[crop.relative_to(path).as_posix()]
                    if group.attrs["perturbation_id"] != name:
                        yield "perturbation_id of a crop"
                    yield from _image(group, names)
