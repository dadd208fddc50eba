"""The data dictionary: one row per column, patterns under the names that a run gave them."""

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.report.data_dictionary import dictionary, fit
from tests.helpers import figure_tables
from tests.helpers.documented_tables import PAGE


@pytest.mark.parametrize(
    ("pattern", "name", "texts"),
    [
        ("q_{space}", "q_salient", {"{space}": "salient"}),
        ("q_{space}", "p_salient", None),
        ("q_{space}", "q_", None),
        ("is_hit", "is_hit", {}),
        ("a/{file}.tsv", "a/b/c.tsv", None),
    ],
)
def test_words_stand_for_any_text_of_one_name(pattern, name, texts):
    assert fit(pattern, name) == texts


def test_columns_of_hits_have_one_row_each_with_their_own_names(tmp_path):
    hits = figure_tables.hits().assign(map_p_salient=np.nan, map_salient=np.nan)
    hits.to_parquet(tmp_path / "hits.parquet")
    dictionary(str(PAGE), [str(tmp_path / "hits.parquet")], str(tmp_path / "dictionary.tsv"))
    rows = pd.read_csv(tmp_path / "dictionary.tsv", sep="\t").set_index("table")
    for name in ("hits.parquet", "hits.tsv"):
        assert rows.loc[name, "column"].tolist() == list(hits), name
    meaning = rows.loc["hits.tsv"].set_index("column")["meaning"]
    assert meaning["map_p_salient"].endswith("give a larger map_salient")  # not of map_{space}
    assert "in the salient space; from 0 to 1" in meaning["map_salient"]
    assert "q_{space}" not in meaning.index
    assert "is_active" in rows.loc["guides.tsv", "column"].tolist()  # as the page says it
