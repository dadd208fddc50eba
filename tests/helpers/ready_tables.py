"""Tables and masks of the twins whose configurations are ready, in the form of the real ones."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.helpers.twins import Twin, write_tiff

Labels = dict[tuple, str]
"""Gene of each cell, or NTC, by (plate, well, tile, y, x)."""


def periscope(twin: Twin, root: Path) -> Labels:
    """One table of all wells, gzipped; positions before alignment, one cell without a position."""
    cells = pd.DataFrame(twin.cells, columns=["plate", "well", "tile", "y", "x"])
    gene = np.array(["nontargeting", "G1", "G2"])[np.arange(len(cells)) % 3]
    table = pd.DataFrame({
        "Metadata_Foci_plate": cells["plate"], "Metadata_Foci_well": cells["well"],
        "Metadata_Foci_site": "site", "Metadata_Foci_site_location": cells["tile"].astype(float),
        "Metadata_Foci_Barcode_MatchedTo_Barcode": [f"AC{name}" for name in gene],
        "Metadata_Foci_Barcode_MatchedTo_GeneCode": gene,
        "Metadata_Cells_ObjectNumber": np.arange(len(cells)),
        "Cells_AreaShape_Center_X": cells["x"] - 2, "Cells_AreaShape_Center_Y": cells["y"] + 1.5,
        "Align_Xshift_ConA": 2.0, "Align_Yshift_ConA": -1.5,
        "Cells_Texture_0": np.random.default_rng(0).normal(size=len(cells)),
    })  # fmt: skip
    lost, elsewhere = table.iloc[[0]].copy(), table.iloc[:5].assign(Metadata_Foci_well="Well2")
    lost["Cells_AreaShape_Center_X"] = np.nan
    folder = root / "workspace/profiles/A549/single_cell"
    folder.mkdir(parents=True)
    name = "b_single_cell_profiles_ALLBATCHES___CP186A___ALLWELLS.csv.gz"
    pd.concat([table, lost, elsewhere]).to_csv(folder / name, index=False)
    return dict(zip(twin.cells, np.where(gene == "nontargeting", "NTC", gene), strict=True))


def jump(twin: Twin, root: Path) -> Labels:
    """A database of CellProfiler, a plate map, metadata of samples; a well without a cell."""
    cells = pd.DataFrame(twin.cells, columns=["plate", "well", "tile", "y", "x"])
    sample = {well: f"BRD-{well}" for well in cells["well"].unique()}
    negative = {"A01", "B06"}
    cells = cells[cells["well"] != "B05"]
    images = cells[["well", "tile"]].drop_duplicates().reset_index(drop=True)
    images["ImageNumber"], images["TableNumber"] = np.arange(1, len(images) + 1), "77"
    nuclei = cells.merge(images, on=["well", "tile"])
    nuclei["ObjectNumber"] = nuclei.groupby("ImageNumber").cumcount() + 1
    plate = "BR00117006"
    backend = root / f"workspace/backend/2020_11_04_CPJUMP1/{plate}"
    backend.mkdir(parents=True)
    with sqlite3.connect(backend / f"{plate}.sqlite") as database:
        images.rename(
            columns={"well": "Image_Metadata_Well", "tile": "Image_Metadata_Site"}
        ).assign(Image_Metadata_Plate=plate, Image_Count_Cells=10.0).to_sql(
            "Image", database, index=False
        )
        nuclei.rename(columns={"y": "Nuclei_Location_Center_Y", "x": "Nuclei_Location_Center_X"})[
            ["TableNumber", "ImageNumber", "ObjectNumber", "Nuclei_Location_Center_X",
             "Nuclei_Location_Center_Y"]
        ].assign(Nuclei_Texture_0=0.5).to_sql("Nuclei", database, index=False)  # fmt: skip
    maps = root / "workspace/metadata/platemaps/2020_11_04_CPJUMP1/platemap"
    metadata = root / "workspace/metadata/external_metadata"
    for folder in (maps, metadata):
        folder.mkdir(parents=True)
    pd.DataFrame({"well_position": sample, "broad_sample": sample}).assign(
        well_position=list(sample)
    ).to_csv(maps / "JUMP-Target-1_orf_platemap.txt", sep="\t", index=False)
    pd.DataFrame({
        "broad_sample": list(sample.values()), "gene": [f"G{well}" for well in sample],
        "pert_type": "trt",
        "control_type": ["negcon" if well in negative else "" for well in sample],
    }).to_csv(metadata / "JUMP-Target-1_orf_metadata.tsv", sep="\t", index=False)  # fmt: skip
    kept = [cell for cell in twin.cells if cell[1] != "B05"]
    return {cell: "NTC" if cell[1] in negative else f"G{cell[1]}" for cell in kept}


def bbbc021(twin: Twin, root: Path) -> Labels:
    """Tables of images and of mechanisms of action; cells are segmented."""
    compound = {"B02": "DMSO", "C05": "taxol"}
    rows = [
        {"TableNumber": 1, "ImageNumber": k, "Image_Metadata_Plate_DAPI": plate,
         "Image_Metadata_Well_DAPI": well, "Image_Metadata_Compound": compound[well],
         "Image_Metadata_Concentration": 0.0 if well == "B02" else 0.3, "Replicate": 1}
        for k, (plate, well, _) in enumerate(twin.truth)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(root / "BBBC021_v1_image.csv", index=False)
    moa = {"compound": ["taxol"], "concentration": [0.3], "moa": ["Microtubule stabilizers"]}
    pd.DataFrame(moa).to_csv(root / "BBBC021_v1_moa.csv", index=False)
    # The dimmest cell of each tile lies below the threshold of the segmentation.
    kept = [cell for cell in twin.cells if cell[3:] != (12.0, 12.0)]
    return {cell: "NTC" if compound[cell[1]] == "DMSO" else "taxol" for cell in kept}


def nf1(twin: Twin, root: Path) -> Labels:
    """Masks of 0 and 255, and a plate map of genotypes."""
    for (_, well, tile), counts in twin.truth.items():
        mask = np.where(counts[0] > 300, 255, 0).astype(np.uint8)
        path = root / f"masks/{well}_01_1_{tile}_DAPI_001_MaskNuclei.tiff"
        write_tiff(path, mask, "YX", compression="zlib")
    genotype = {"B7": "WT", "D6": "Null", "H12": "Null"}
    table = pd.DataFrame({"well": list(genotype), "genotype": list(genotype.values())})
    table.to_csv(root / "platemap.csv", index=False)
    kept = [cell for cell in twin.cells if cell[:3] in twin.truth]
    return {cell: "NTC" if genotype[cell[1]] == "WT" else "Null" for cell in kept}


READY: dict[str, Callable[[Twin, Path], Labels]] = {
    "periscope": periscope, "jump": jump, "bbbc021": bbbc021, "nf1": nf1,
}  # fmt: skip
