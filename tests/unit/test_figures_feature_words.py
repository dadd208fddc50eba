"""Features in words: every name of both vocabularies is understood."""

import numpy as np
import pytest

from mcvae_ops.cells.measure import measure_tile
from mcvae_ops.figures.feature_words import describe
from mcvae_ops.screen import channels_from
from tests.helpers.report_inputs import CONFIGURATION

CHANNELS = CONFIGURATION["screen"]["channels"]


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("AF750_Intensity_MeanIntensityEdge", "mean phalloidin at the edge"),
        ("AF750_RadialDistribution_FracAtD_1of4", "share of phalloidin in ring 1 from the centre"),
        ("A594_DAPI_Correlation_Pearson", "correlation of gamma-H2AX and DNA over pixels"),
        ("GFP_SumEntropy_3_01_9", "texture of alpha-tubulin at 3 px: entropy of the sum of pairs"),
        ("cell_MajorAxisLength", "length of the major axis"),
        ("nucleus_tubulin_haralick_5_3", "texture of tubulin at 5 px: variance, nucleus"),
        ("nucleus_manders_dapi_tubulin", "share of DNA where there is tubulin (Manders), nucleus"),
        ("my_own_feature", ""),
    ],
)
def test_a_name_is_put_in_words(feature, words):
    assert describe(feature, CHANNELS) == words


def test_every_feature_that_is_measured_has_words():
    labels = np.zeros((40, 40), int)
    labels[10:30, 8:28] = 1
    image = np.random.default_rng(0).uniform(0, 4000, (4, 40, 40)).astype(np.float32)
    names = measure_tile(image, labels, channels_from(CHANNELS), 16).columns
    assert len(names) > 300
    assert [name for name in names if not describe(name, CHANNELS)] == []


def test_every_published_feature_has_words(shared):
    path = shared / "data/published/cellprofiler_feature_names_1084.txt"
    names = path.read_text().split()
    assert len(names) == 1084
    assert [name for name in names if not describe(name, CHANNELS)] == []
