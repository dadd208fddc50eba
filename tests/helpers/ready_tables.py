"""Tables and masks of the twins, in the form of the real ones."""

import sqlite3
import zipfile
from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.helpers.twins import CROP_PX, FUNK_SHIFTS, Twin, write_tiff

Labels = dict[tuple, str]
"""Gene of each cell that must come in, or NTC, by (plate, well, tile, y, x) or (..., crop)."""
GENES = ("nontargeting", "G1", "G2")


def labels_of(cells: list[tuple], genes: pd.Series) -> Labels:
    """Label cells with their genes, and controls with NTC."""
    return dict(zip(cells, genes.where(genes != "nontargeting", "NTC"), strict=True))


def cells_of(twin: Twin, n_features: int = 0) -> pd.DataFrame:
    """Return the cells with genes in turn, two guides of each, and some features."""
    table = pd.DataFrame(twin.cells, columns=["plate", "well", "tile", "y", "x"])
    k = np.arange(len(table))
    table["gene"] = np.array(GENES)[k % 3]
    table["barcode"] = table["gene"] + "_" + pd.Series(k // 3 % 2).astype(str)
    values = np.random.default_rng(0).normal(size=(n_features, len(table)))
    return table.assign(**{f"cell_feature_{j}": row for j, row in enumerate(values)})


def write_library(cells: pd.DataFrame, twin: Twin) -> None:
    """Write a perturbation library of the OPS standard: an id of its own for each control."""
    library = cells[["barcode", "gene"]].drop_duplicates().rename(columns={"gene": "gene_symbol"})
    is_control = library["gene_symbol"] == "nontargeting"
    library["role"] = np.where(is_control, "control", "targeting")
    library["control_type"] = np.where(is_control, "nontargeting", None)
    library["perturbation_id"] = np.arange(len(library)) + 100
    library.loc[is_control, "gene_symbol"] = library["barcode"][is_control]
    library = library.assign(gene_id=np.arange(len(library)) + 7000, protospacer_sequence="ACGT")
    (twin.root / "metadata").mkdir()
    library.to_csv(twin.root / "metadata/perturbation_library.csv", index=False)


def ops_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return cells in the columns of ``cell_data.parquet`` of the OPS standard."""
    named = cells.assign(
        well_row=cells["well"].str[0], well_col=cells["well"].str[1:].astype(int),
        cell_uid=[f"c{k}" for k in cells.index], perturbation_id="p",
    )  # fmt: skip
    return named.drop(columns=["well", "gene"])


def funk2022(twin: Twin) -> Labels:
    """Two zips of parquet, by stage of the cell cycle."""
    cells = cells_of(twin, 6)
    table = cells.rename(
        columns={"y": "cell_i", "x": "cell_j", "barcode": "sgRNA_0", "gene": "gene_symbol_0"}
        | {f"cell_feature_{k}": f"nucleus_feature_{k - 3}" for k in (3, 4, 5)}
    ).assign(i_0=1.0, j_0=2.0)
    is_mitotic = np.arange(len(cells)) % 5 == 0
    for stage, rows in (("interphase", table[~is_mitotic]), ("mitotic", table[is_mitotic])):
        rows.to_parquet(twin.root / "part-0.parquet")
        with zipfile.ZipFile(twin.root / f"{stage}-A.zip", "w") as archive:
            archive.write(twin.root / "part-0.parquet", "part-0.parquet")
    return {cell: gene for cell, gene in labels_of(twin.cells, cells["gene"]).items()
            if cell[:3] not in twin.lost and is_inside_shifted(cell)}  # fmt: skip


def is_inside_shifted(cell: tuple) -> bool:
    """Say whether the windows of a cell lie inside the tile in every channel of funk2022."""
    corners = np.array(cell[3:]) - CROP_PX // 2 - list(FUNK_SHIFTS.values())
    return bool(((corners >= 0) & (corners <= 96 - CROP_PX)).all())


def aconcagua(twin: Twin) -> Labels:
    """A table of all plates and a library; one cell has a barcode that no library has."""
    cells = cells_of(twin, 6)
    write_library(cells, twin)
    labels = labels_of(twin.cells, cells["gene"])
    cells.loc[5, "barcode"] = "unknown"
    stage = np.where(np.arange(len(cells)) % 5 == 0, "mitotic", "interphase")
    ops_table(cells).assign(cell_class=stage).to_parquet(twin.root / "cell_data.parquet")
    del labels[twin.cells[5]]
    return labels


def leonetti(twin: Twin) -> Labels:
    """A table without features; its tiles are those of before the stitching."""
    cells = cells_of(twin)
    write_library(cells, twin)
    table = ops_table(cells).assign(tile=900, bounding_box="(1, 2)")
    table.to_parquet(twin.root / "cell_data.parquet")
    return labels_of(twin.cells, cells["gene"])


def cp_posh(twin: Twin) -> Labels:
    """A table whose ID says plate and well, and whose path says the crop."""
    genes = pd.Series(np.array(GENES)[np.arange(len(twin.cells)) % 3])
    crops = pd.Series([crop for *_, crop in twin.cells])
    names = crops.str.extract(r"([^/]+)\.npy$")[0]
    table = pd.DataFrame({"ID": names, "path": crops, "barcode": genes + "_0", "gene_id": genes})
    table.to_parquet(twin.root / "single_cell_tile_images/moa_300/dataframe.pq")
    labels = labels_of(twin.cells, genes)
    return {cell: gene for cell, gene in labels.items() if cell not in twin.lost}


def idr(twin: Twin) -> Labels:
    """A table of annotations beside the run; cells are segmented."""
    genes = {"A1": "", "A2": "CDC2", "A3": "CDC25"}
    pd.DataFrame({
        "Plate": "JL_120731_S6A", "Well": list(genes), "Gene Symbol": list(genes.values()),
        "Control Type": ["negative control", "", ""],
    }).to_csv(twin.root.parent / "annotation.csv", index=False)  # fmt: skip
    return {cell: genes[cell[1]] or "NTC" for cell in twin.cells}


def plain(twin: Twin) -> Labels:
    """A plate map with a byte order mark, a well in small letters and two names of controls."""
    genes = dict(zip(("a01", "A2", "A3", "B1", "B2", "B3"),
                     ("DMSO", "taxol", "untreated", "taxol", "nocodazole", "DMSO"),
                     strict=True))  # fmt: skip
    table = pd.DataFrame({"well": list(genes), "gene": list(genes.values())})
    table.assign(guide=table["gene"] + " 1 uM").to_csv(
        twin.root / "platemap.csv", index=False, encoding="utf-8-sig"
    )
    genes = {"A1": genes.pop("a01")} | genes
    twin.left_out = {"path does not match": 1}
    shown = {well: "NTC" if gene in ("DMSO", "untreated") else gene for well, gene in genes.items()}
    return {cell: shown[cell[1]] for cell in twin.cells}


def periscope(twin: Twin) -> Labels:
    """One table of all wells, gzipped; positions before alignment, one cell without a position."""
    cells = pd.DataFrame(twin.cells, columns=["plate", "well", "tile", "y", "x"])
    gene = np.array(GENES)[np.arange(len(cells)) % 3]
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
    folder = twin.root / "workspace/profiles/A549/single_cell"
    folder.mkdir(parents=True)
    name = "b_single_cell_profiles_ALLBATCHES___CP186A___ALLWELLS.csv.gz"
    pd.concat([table, lost, elsewhere]).to_csv(folder / name, index=False)
    return dict(zip(twin.cells, np.where(gene == "nontargeting", "NTC", gene), strict=True))


def jump(twin: Twin) -> Labels:
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
    backend = twin.root / f"workspace/backend/2020_11_04_CPJUMP1/{plate}"
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
    maps = twin.root / "workspace/metadata/platemaps/2020_11_04_CPJUMP1/platemap"
    metadata = twin.root / "workspace/metadata/external_metadata"
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


UNLISTED = ("Week1_22141", "C05")


def bbbc021(twin: Twin) -> Labels:
    """Tables of images and of mechanisms of action; a well is not in them; cells are segmented."""
    compound = {"B02": "DMSO", "C05": "taxol"}
    rows = [
        {"TableNumber": 1, "ImageNumber": k, "Image_Metadata_Plate_DAPI": plate,
         "Image_Metadata_Well_DAPI": well, "Image_Metadata_Compound": compound[well],
         "Image_Metadata_Concentration": 0.0 if well == "B02" else 0.3, "Replicate": 1}
        for k, (plate, well, _) in enumerate(twin.truth) if (plate, well) != UNLISTED
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(twin.root / "BBBC021_v1_image.csv", index=False)
    moa = {"compound": ["taxol"], "concentration": [0.3], "moa": ["Microtubule stabilizers"]}
    pd.DataFrame(moa).to_csv(twin.root / "BBBC021_v1_moa.csv", index=False)
    return {cell: "NTC" if compound[cell[1]] == "DMSO" else "taxol"
            for cell in twin.cells if cell[:2] != UNLISTED}  # fmt: skip


def nf1(twin: Twin) -> Labels:
    """Masks of 0 and 255, and a plate map of genotypes."""
    for (_, well, tile), counts in twin.truth.items():
        mask = np.where(counts[0] > 300, 255, 0).astype(np.uint8)
        path = twin.root / f"masks/{well}_01_1_{tile}_DAPI_001_MaskNuclei.tiff"
        write_tiff(path, mask, "YX", compression="zlib")
    genotype = {"B7": "WT", "D6": "Null", "H12": "Null"}
    table = pd.DataFrame({"well": list(genotype), "genotype": list(genotype.values())})
    table.to_csv(twin.root / "platemap.csv", index=False)
    return {cell: "NTC" if genotype[cell[1]] == "WT" else "Null" for cell in twin.cells}


READY: dict[str, Callable[[Twin], Labels]] = {
    one.__name__: one for one in (funk2022, aconcagua, periscope, jump, bbbc021, nf1, cp_posh, idr,
                                  plain, leonetti)
}  # fmt: skip
