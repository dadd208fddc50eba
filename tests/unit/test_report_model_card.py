"""The card beside the weights of a training."""

import pandas as pd
import pytest

from mcvae_ops.benchmarks.estimates import table
from mcvae_ops.report.model_card import model_cards, scores_of
from mcvae_ops.training.train import train_model
from tests.conftest import ROOT
from tests.helpers.fake_shards import MCVAE, TRAINING, train_model_arguments, write_fake_screen

AVERAGE_PRECISION = {
    "benchmark": "complexes", "protocol": "strict", "space": "combined", "seed": 0, "cells": "test",
    "metric": "average_precision", "item": "CORUM", "n": 30,
}  # fmt: skip


def benchmark() -> pd.DataFrame:
    rows = [
        table.row(**AVERAGE_PRECISION, model="mcvae", value=0.31, low=0.2, high=0.4, units="u"),
        table.row(**AVERAGE_PRECISION, model="vae", value=0.77),
        table.row(**AVERAGE_PRECISION | {"protocol": "published"}, model="mcvae", value=0.99),
    ]
    return table.to_frame(rows)


def test_scores_are_the_strict_ones_of_the_training():
    ((what, cells, value),) = scores_of({"complexes": benchmark()}, "mcvae", 0)
    assert what.endswith("average precision, combined")
    assert (cells, value) == ("test", "0.310 [0.200, 0.400]")
    assert scores_of({}, "mcvae", 0) == []


@pytest.mark.parametrize("source", ["simulated", "archive"])
def test_the_card_has_every_section_filled(source, tmp_path):
    shards = write_fake_screen(tmp_path)
    arguments = train_model_arguments(shards, tmp_path, MCVAE, TRAINING | {"epochs": 1})
    train_model(**arguments)
    benchmark().to_parquet(tmp_path / "complexes.parquet")
    out = tmp_path / "card.md"
    model_cards(
        [arguments["weights"]], [arguments["metrics"]], [str(tmp_path / "complexes.parquet")],
        str(shards / "index.parquet"), str(shards / "splits.parquet"), str(ROOT / "docs/tables.md"),
        source, "fake", "https://user:secret@example.org/data", [str(out)],
    )  # fmt: skip
    text = out.read_text()
    sections = dict(part.partition("\n\n")[::2] for part in text.split("\n## ")[1:])
    assert [*sections] == ["Data", "Settings", "Terms of the objective", "Monitors", "Scores",
                           "Intended use", "Limits", "Licence"]  # fmt: skip
    assert "channels: A594, AF750, DAPI, GFP; crops of 20 px of 0.65 um" in sections["Data"]
    is_ntc = pd.read_parquet(shards / "index.parquet")["is_ntc"]
    n = is_ntc[pd.read_parquet(shards / "splits.parquet")["split"] == "train"].value_counts()
    assert f"- train: {n[False]} perturbed and {n[True]} control cells" in sections["Data"]
    assert "| `wasserstein_weight` | 1.0 |" in sections["Terms of the objective"]
    assert "| `nats_without_s` |" in sections["Monitors"] and "nan" not in text
    assert "0.310 [0.200, 0.400]" in sections["Scores"] and "0.77" not in text
    assert "secret" not in text
    assert ("example.org" in sections["Licence"]) == (source == "archive")
