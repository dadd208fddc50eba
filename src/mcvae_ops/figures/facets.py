"""Layouts of axes for one or several models."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style


def facets(
    metrics: Mapping[str, str], models: Sequence[str]
) -> tuple[Figure, list[tuple[Axes, str, str]]]:
    """Return a figure with axes for each metric of each model, and room for a legend on the right.

    Parameters
    ----------
    metrics
        Metric -> label of its y axis.
    models
        One model: metrics side by side. Several models: one row per metric, one column per model.

    Returns
    -------
    The figure; (axes, metric, model) of each cell of the layout. Axes of one metric share a scale.
    """
    several = len(models) > 1
    shape = (len(metrics), len(models)) if several else (1, len(metrics))
    figure = style.new_figure(1.4 + 4.0 * shape[1], 0.6 + 4.0 * shape[0])
    every = figure.subplots(*shape, sharey="row" if several else False)
    places = [(metric, model) for metric in metrics for model in models]
    for axes, (metric, model) in zip(every.flat, places, strict=True):
        axes.set_ylabel(metrics[metric] if model == models[0] else "")
        if several and metric == next(iter(metrics)):
            axes.set_title(style.model_name(model))
    return figure, [(axes, *place) for axes, place in zip(every.flat, places, strict=True)]


def columns(
    models: Sequence[str], width_in: float, height_in: float, aside_in: float = 0.0
) -> tuple[Figure, dict[str, Axes]]:
    """Return a figure with axes for each model, two per row, on one scale.

    Parameters
    ----------
    models
        The models; several models get their names as titles.
    width_in, height_in
        Size of the axes of one model, including labels, inch.
    aside_in
        Additional width for long names along the y axis, inch.
    """
    n_rows, n_columns = -(-len(models) // 2), min(len(models), 2)
    figure = style.new_figure(aside_in + width_in * n_columns, height_in * n_rows)
    every = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    for axes in every.flat[len(models) :]:
        axes.set_visible(False)
    places = dict(zip(models, every.flat, strict=False))
    for model, axes in places.items():
        axes.set_title(style.model_name(model) if len(models) > 1 else "")
        axes.tick_params(labelbottom=True)  # shared axes hide labels above an empty place
    return figure, places
