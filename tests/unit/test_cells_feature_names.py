"""Which columns are features: bookkeeping of any program is none, and no measurement is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcvae_ops.archive.table_header import Header
from mcvae_ops.cells.feature_names import reason_against, sort_columns
from mcvae_ops.errors import InputError

BOOKKEEPING = {
    "MCMICRO": "CellID; X_centroid; Y_centroid; column_centroid; row_centroid",
    "Harmony": "Object No; Object No in Nuclei; Position X [µm]; Timepoint;"
    "Plane; Absolute Time [s]; Measurement Date; Plate ID; Site ID; Field; Row; Column",
    "scikit-image": "label; centroid-0; centroid_weighted-0; centroid_local-1; bbox-3; bbox;"
    "centroid_weighted_local-0; weighted_centroid-0-1; minr; maxc; min_row; max_col",
    "ImageJ": "X; Y; BX; BY; XM; YM; FeretX; Slice; Ch; Frame",
    "QuPath": "Object ID; Centroid X µm; Nucleus: Centroid X µm",
    "ilastik": "object_id; labelimage_oid; trackId; timestep; Center of the object_0;"
    "Bounding Box Minimum_0",
    "TrackMate": "TRACK_ID; POSITION_X; POSITION_T; FRAME",
    "CellProfiler": "ImageNumber; ObjectNumber; Cells_Number_Object_Number; AreaShape_Center_X;"
    "AreaShape_BoundingBoxMinimum_Y; Neighbors_FirstClosestObjectNumber_5; Location_Center_X;"
    "Nuclei_Location_CenterMassIntensity_X_DNA",
    "pandas and R": "Unnamed: 0; Unnamed: 0.1; index; level_0; row_names; rownames; X; ...1;",
    "tables of optical screens": "cell; cell_0; cell_1; i_0; cell_i_0; fov_distance_0; cell_x_px;"
    "global_y; tile_x; sgRNA; cell_barcode_0",
    "laboratories": "ObjectID; ImageID; CellNumber; cell_number; cell_index; nuclei_idx;"
    "objectnumber; IMAGENUMBER; Image_number; site_number; plate_number; field_index; well_index;"
    "time; timepoint; time_point; acq_time; frame; Z; z_plane; x_min; xmin; bbox_x0; bbox_ymin;"
    "bboxMinX; bounding_box_left; y_coord; coord_y; x_stage; stage_x_um; spatial_x; row_idx;"
    "col_idx; passage; instance; particle; row_number; fov_id; well_x; replicate_id; xc",
}  # fmt: skip
FEATURES = {
    "scikit-image": "area; area_bbox; bbox_area; min_intensity; max_intensity-0; intensity_max-1;"
    "moments_hu-0; moments-0-1; inertia_tensor-0-1; feret_diameter_max; orientation; extent;"
    "axis_major_length; euler_number",
    "ImageJ": "Mean; StdDev; Mode; Min; Max; Width; Height; Circ.; Feret; MinFeret; AR; Round;"
    "%Area; RawIntDen; Solidity",
    "QuPath": "Nucleus: Area µm^2; Nucleus: DAPI: Max; Cell: Channel 1 max",
    "ilastik": "Radii of the object_0; Principal components of the object_0; Mean Intensity_0",
    "Harmony": "Nuclei - Nucleus Area [µm²]; Nuclei - Nucleus Width [µm]; Number of Spots;"
    "Nuclei - Intensity Mean [A.U.]; Mitotic Index [%]",
    "CellProfiler": "Texture_Contrast_DNA_3_01_256; RadialDistribution_MeanFrac_DNA_1of4;"
    "AreaShape_EulerNumber; AreaShape_BoundingBoxArea; AreaShape_Zernike_0_0;"
    "Neighbors_NumberOfNeighbors_Adjacent; Children_Spots_Count; Correlation_K_X_Y;"
    "Intensity_MassDisplacement_DNA; Neighbors_FirstClosestDistance_5",
    "laboratories": "mean_frame_intensity; mitotic_index; cell_shape_index; nuclei_number;"
    "centroid_distance; distance_to_center; time_to_division; division_time; residence_time;"
    "fraction_bound; cd8_pos_1; x_intensity; max_0; min; cell_max; spot_number; n_nuclei; z_score;"
    "speed_x; area_x; local_density; center_intensity; radial_center_1; row_mean; bbox_width;"
    "Channel_1_mean_intensity; Height_um; Width_um; Frame_count; Group_size;"
    "track_length; particle_count; cell_mass; image_moment_2; void_fraction; plane_entropy",
}  # fmt: skip


def each(names: dict[str, str]) -> list[str]:
    return [name.strip() for listed in names.values() for name in listed.split(";")]


@pytest.mark.parametrize("name", each(BOOKKEEPING))
def test_bookkeeping_of_any_program_is_no_feature(name):
    assert reason_against(name, "number") is not None


@pytest.mark.parametrize("name", each(FEATURES))
def test_what_sounds_like_bookkeeping_and_is_measured_stays(name):
    assert reason_against(name, "number") is None


@given(
    st.sampled_from(["cell id", "object number", "x centroid", "centroid x", "min row", "bbox x",
                     "site index", "position y", "acq time", "z plane", "euler number", "mean area",
                     "shape index", "centroid distance", "frame intensity"]),
    st.sampled_from(["_", " ", "-", ".", ": ", ""]),
    st.sampled_from([str.lower, str.upper, str.title]),
    st.sampled_from(["", " [µm]", " (px)", "_um"]),
)  # fmt: skip
def test_spelling_and_unit_change_nothing(words, between, case, unit):
    is_feature = reason_against(words, "number") is None
    spelled = [case(word) for word in words.split()]
    if not between:  # camelCase
        spelled = [words.split()[0], *map(str.title, words.split()[1:])]
    name = between.join(spelled) + unit
    assert (reason_against(name, "number") is None) == is_feature


def test_a_name_of_any_length_is_told_at_once():
    assert reason_against("cell " * 2000 + "area", "number") is None
    assert reason_against("x" + "_min" * 2000, "number") == "position"
    assert reason_against("min_" * 2000 + "x", "number") == "position"


def reasons_of(*names: str, features=("*",), not_features=(), **kinds: str):
    header = Header(dict.fromkeys(names, "number") | kinds)
    return sort_columns(header, {"well"}, features, not_features)


def test_what_cellprofiler_says_of_an_image_stands_beside_its_file():
    reasons = reasons_of("Height_DNA", "Height_um", "Channel_DNA", FileName_DNA="text")
    assert {name for name, reason in reasons.items() if reason is None} == {"Height_um"}
    assert reasons["Height_DNA"] == reasons["Channel_DNA"] == "of the image"


def test_numbered_dimensions_are_no_positions():
    assert set(reasons_of(*(f"z_{k}" for k in range(32))).values()) == {None}
    boxes = [*(f"bbox-{k}" for k in range(4)), "x_0", "x_1", "centroid-0"]
    assert set(reasons_of(*boxes).values()) == {"position"}


def test_a_column_of_numbers_that_is_named_outright_is_a_feature():
    reasons = reasons_of("area", "frame", "Image_Width", features=["frame", "Image_Width"])
    assert reasons == {"area": "not in screen.features", "frame": None, "Image_Width": None}
    assert reasons_of("area", "frame", features=["*", "frame"])["frame"] is None
    with pytest.raises(InputError, match=r"note \(text\), well \(named under columns\)"):
        reasons_of("well", "frame", note="text", features=["frame", "note", "well"])
    with pytest.raises(InputError, match=r"frame \(screen.not_features\)"):
        reasons_of("area", "frame", features=["frame"], not_features=["frame"])
