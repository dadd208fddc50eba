"""Axes for one model or several, in the same place of every figure."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mcvae_ops.figures import style


def facets(
    metrics: Mapping[str, str], models: Sequence[str]
) -> tuple[Figure, list[tuple[Axes, str, str]]]:
    """Return a figure with axes for each metric of each model; its legend belongs on the right.

    Parameters
    ----------
    metrics
        Metric -> the label of its axis.
    models
        One: metrics lie beside each other. Several: a row for each metric, a column for each model.

    Returns
    -------
    The figure; (axes, metric, model) of each place. Axes of one metric have one scale.
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
    """Return a figure with axes for each model on one scale, two beside each other.

    Parameters
    ----------
    models
        Their names stand above the axes if they are several.
    width_in, height_in
        Of the axes of one model with their labels.
    aside_in
        What names along the y axis take in addition, once.
    """
    n_rows, n_columns = -(-len(models) // 2), min(len(models), 2)
    figure = style.new_figure(aside_in + width_in * n_columns, height_in * n_rows)
    every = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    for axes in every.flat[len(models) :]:
        axes.set_visible(False)
    places = dict(zip(models, every.flat, strict=False))
    for model, axes in places.items():
        axes.set_title(style.model_name(model) if len(models) > 1 else "")
        axes.tick_params(labelbottom=True)  # below it there may be none
    return figure, places
