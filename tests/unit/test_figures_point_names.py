"""Names of points: none covers a point or another name, and those without room are left out."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from mcvae_ops.figures.point_names import name_points


def test_names_cover_neither_points_nor_names_nor_the_legend():
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.random(40), np.where(np.arange(40) < 20, 3.0, rng.random(40))])
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.plot(*points.T, "o", label="genes")
    axes.legend(loc="upper left")
    names = [f"GENE-{k}" for k in range(20)]
    written = name_points(axes, points[:20], names, points)
    texts = [a for a in axes.findobj(Annotation) if a.get_text()]
    assert written == [text.get_text() for text in texts] and len(written) >= 7
    boxes = [text.get_window_extent() for text in texts]
    drawn = axes.transData.transform(points)
    legend = axes.get_legend().get_window_extent()
    for k, box in enumerate(boxes):
        assert not box.padded(0, 3).count_contains(drawn)  # nor their markers
        assert not box.count_overlaps([*boxes[:k], legend])
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1
    # A line that leads from a point to its name crosses no other name.
    lines = [a for a in axes.findobj(Annotation) if not a.get_text()]
    assert lines
    for line in lines:
        start = axes.transData.transform(line.xy)
        along = start + np.linspace(0, 1, 50)[:, None] * np.array(line.xyann) * figure.dpi / 72
        assert sum(box.count_contains(along) > 0 for box in boxes) <= 1


def test_a_name_without_room_is_left_out():
    figure = Figure(figsize=(1, 1))
    axes = figure.subplots()
    assert name_points(axes, np.array([[0.5, 0.5]]), ["x" * 80], np.array([[0.5, 0.5]])) == []
    assert not [a for a in axes.findobj(Annotation) if a.get_text()]
