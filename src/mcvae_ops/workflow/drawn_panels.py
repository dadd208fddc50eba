"""The panels of a run: which are drawn, and the input functions of the rule that draws them."""

from mcvae_ops.workflow.panel_inputs import (
    panel_settings,
    panel_tables,
    panel_values,
    undrawable,
    wanted_panels,
)
from mcvae_ops.workflow.panels import PANELS


class DrawnPanels:
    """The panels of a configuration.

    Parameters
    ----------
    config
        The configuration.
    trainings
        "model/seed" of the trainings that panels of single trainings show.

    Attributes
    ----------
    drawable
        Panels that can be asked for.
    drawn
        Panels of the configuration that are drawn.
    left_out
        Of the configuration's other panels why not, by panel.
    captions
        Caption of every panel, by its name.
    """

    def __init__(self, config: dict, trainings: list[str]) -> None:
        self._config, self._trainings = config, trainings
        reasons, wanted = undrawable(config), wanted_panels(config)
        self.drawable = [panel for panel in PANELS if panel not in reasons]
        self.drawn = [panel for panel in wanted if panel not in reasons]
        self.left_out = {panel: reasons[panel] for panel in wanted if panel in reasons}
        self.captions = {name: panel.caption for name, panel in PANELS.items()}

    def tables(self, wildcards) -> list[str]:
        """Input function: the tables that one panel reads."""
        tables = panel_tables(wildcards.panel, self._trainings)
        return [f"results/{wildcards.screen}/{file}" for file in tables]

    def published(self, wildcards) -> list[str]:
        """Input function: the files of the paper's numbers that one panel overlays."""
        return panel_values(self._config["figures"]["published_values"], wildcards.panel)

    def settings(self, wildcards) -> dict:
        """Function of a param: what of the configuration one panel reads."""
        return panel_settings(self._config, wildcards.panel)
