"""Panels that draw a second model beside the main one: its own numbers, every word in sight."""

import pandas as pd
import pytest
from matplotlib.text import Text

from mcvae_ops.embeddings.spaces import SHORTCUTS
from mcvae_ops.figures import style
from mcvae_ops.figures.draw import drawing_of, read_tables
from mcvae_ops.figures.paper_values import read_published
from mcvae_ops.report.paper_comparison import compare_with_paper
from mcvae_ops.workflow.panel_inputs import panel_tables, panel_values
from mcvae_ops.workflow.panels import PANELS, TABLES
from tests.helpers import report_inputs

MAIN, OTHER = "mcvae", "dcvae"
PER_TRAINING = [name for name, table in TABLES.items() if table.per_training]
# Panels whose source data have rows of the models shown.
OF_MODELS = (
    "fig2a", "fig2b", "fig3a", "fig3b", "fig4a", "fig4b", "fig4c", "fig5a", "fig5b", "fig5c",
    "figs2", "figs4", "figs5", "figs6", "figs7", "figqc6",
)  # fmt: skip


def with_other(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the main model once more, as another model's that scores half as much."""
    other = table[table["model"] == MAIN].assign(model=OTHER)
    for column in {"value", "low", "high", "relative_background"} & set(other):
        other[column] = other[column] / 2
    return pd.concat([table, other], ignore_index=True)


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> dict[str, pd.DataFrame]:
    """Every table, with rows of both models."""
    paths = report_inputs.write_tables(tmp_path_factory.mktemp("tables"))
    tables = {name: pd.read_parquet(path) for name, path in paths.items()}
    for name in PER_TRAINING:
        tables[name] = tables[name].assign(model=MAIN)
    return {name: with_other(one) if "model" in one else one for name, one in tables.items()}


def settings(compared: list[str]) -> dict:
    configuration = report_inputs.CONFIGURATION
    profiles = configuration["profiles"] | {"compared_models": compared}
    entry = configuration["models"][MAIN]
    models = configuration["models"] | {OTHER: entry | {"prior_z_per_label": False}}
    return configuration | {"profiles": profiles, "models": models}


def draw(panel: str, frames: dict, compared: list[str], published=None):
    tables = {name: frames[name] for name in PANELS[panel].tables}
    if not compared:
        for name in set(PER_TRAINING) & set(tables):
            tables[name] = tables[name][tables[name]["model"] == MAIN]
    with style.house(report_inputs.CONFIGURATION["screen"]["words"]):
        values = read_published(panel_values(published, panel))
        return drawing_of(panel)(tables, values, settings(compared))


@pytest.fixture(scope="module")
def both(frames) -> dict:
    """Figure and source data of each panel with both models."""
    return {panel: draw(panel, frames, [OTHER]) for panel in OF_MODELS}


@pytest.mark.parametrize("panel", OF_MODELS)
def test_the_main_model_keeps_its_numbers_and_the_other_has_its_own(panel, both, frames):
    data, alone = both[panel][1], draw(panel, frames, [])[1]
    assert {MAIN, OTHER} <= set(data["model"].dropna())
    mine = data[data["model"] != OTHER]
    if "model" not in alone:  # one model needs no name
        mine = mine.drop(columns="model")
    else:
        alone = alone[alone["model"] != OTHER]
        mine, alone = (data.fillna({"model": MAIN}) for data in (mine, alone))
    order = [column for column in alone if column in mine]
    assert set(order) == set(mine.columns)
    pd.testing.assert_frame_equal(
        mine[order].reset_index(drop=True), alone.reset_index(drop=True), check_dtype=False
    )


@pytest.mark.parametrize("panel", OF_MODELS)
def test_both_are_named_and_no_word_is_cut(panel, both):
    figure, _ = both[panel]
    figure.draw_without_rendering()
    words = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "mcVAE" in words and "dcVAE" in words
    box, (width_in, height_in) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0, width_in - box.x1, height_in - box.y1) > -0.01


def test_axes_of_one_metric_have_one_scale_and_room_for_all(both):
    for panel in ("fig3b", "figs2"):
        figure, data = both[panel]
        for first, second in zip(figure.axes[::2], figure.axes[1::2], strict=True):
            assert first.get_ylim() == second.get_ylim()
        titles = [axes.get_title() for axes in figure.axes[:2]]
        assert titles == ["mcVAE", "dcVAE"]
    precision = data[data["metric"] == "average_precision"]
    assert figure.axes[4].get_ylim()[1] > precision["high"].max()


def test_bars_of_each_model_are_its_own(both):
    figure, data = both["fig3b"]
    published = data[(data["protocol"] == "published") & (data["metric"] == "macro_f1")]
    for axes, model in zip(figure.axes[:2], (MAIN, OTHER), strict=True):
        heights = {round(bar.get_height(), 6) for bar in axes.patches if bar.get_height()}
        values = published.loc[published["model"].isin([model, "cellprofiler"]), "value"]
        assert heights == set(values.round(6))


def test_differences_of_each_model_stand_in_its_column(both):
    figure, data = both["fig4c"]
    published = data[data["protocol"] == "published"]
    main, other = (published[published["model"] == model] for model in (MAIN, OTHER))
    groups = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert [name.rpartition(" (")[0] for name in groups] == main["item"].tolist()
    for axes, rows in zip(figure.axes, (main, other), strict=True):
        widths = [bar.get_width() for bar in axes.patches]
        assert sorted(widths) == pytest.approx(sorted(rows["value"]))


def test_the_mitotic_index_is_drawn_once(both):
    figure, data = both["fig5c"]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [label.split(":")[0] for label in labels] == [
        "mcVAE, B / (S + B)", "dcVAE, B / (S + B)", "mitotic index", "chance",
    ]  # fmt: skip
    curves = data[data["metric"] == "roc"]
    assert set(curves["model"][curves["item"] == "mitotic_index"]) == {MAIN}
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert len(set(colours)) == len(colours)


def test_an_ablation_is_drawn_among_the_models_if_it_is_compared(both, frames):
    assert OTHER in set(both["fig2a"][1]["model"])
    assert OTHER not in set(draw("fig2a", frames, [])[1]["model"])


def test_the_papers_numbers_stand_beside_those_of_the_main_model_alone(frames, shared):
    for panel in ("fig4c", "fig5c"):
        data = draw(panel, frames, [OTHER], str(shared / "reference"))[1]
        told = compare_with_paper(panel, data)
        alone = compare_with_paper(panel, draw(panel, frames, [], str(shared / "reference"))[1])
        pd.testing.assert_frame_equal(told, alone)


def test_models_have_colours_of_their_own():
    assert len(set(style.MODEL_COLOURS.values())) == len(style.MODEL_COLOURS)
    # Figures do not draw shortcuts.
    assert set(style.MODEL_COLOURS) == set(style.MODEL_NAMES) - set(SHORTCUTS)


def test_names_stand_in_a_sentence():
    assert style.model_names(["mcvae"]) == "mcVAE"
    assert style.model_names(["mcvae", "cvae", "dcvae"]) == "mcVAE, cVAE and dcVAE"
    assert style.model_names(["mcvae", "dcvae_head"]) == "mcVAE and dcVAE (head alone)"


def test_baselines_count_for_no_training_seed():
    rows = pd.DataFrame({"model": ["mcvae", "mcvae", "random", "mcvae"], "seed": [3, 4, 0, -1]})
    assert style.seeds_note(rows) == "2 training seeds (3, 4)"


def test_panels_read_the_table_of_each_training():
    trainings = [f"{MAIN}/0", f"{OTHER}/0"]
    assert panel_tables("fig3b", trainings) == ["benchmarks/covariates.parquet"]
    assert panel_tables("figqc6", trainings) == [
        f"models/{one}/{table}.parquet" for table in ("samples", "metrics") for one in trainings
    ]
    assert panel_tables("fig3a", trainings) == [
        f"benchmarks/{one}/umap_cells.parquet" for one in trainings
    ]


def test_tables_of_trainings_are_told_apart_by_their_place(tmp_path):
    paths = [tmp_path / model / "0" / "samples.parquet" for model in (OTHER, MAIN)]
    for k, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        pd.DataFrame({"x": [k, k]}).to_parquet(path)
    (tmp_path / "alignment.parquet").write_bytes(paths[0].read_bytes())
    read = read_tables([*map(str, paths), str(tmp_path / "alignment.parquet")])
    assert read["samples"]["model"].tolist() == [OTHER, OTHER, MAIN, MAIN]
    assert read["samples"]["x"].tolist() == [0, 0, 1, 1]
    assert read["alignment"].columns.tolist() == ["x"]
