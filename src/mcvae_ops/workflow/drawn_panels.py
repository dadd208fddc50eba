"""The panels of a run: which are drawn, and the input functions of the rule that draws them."""

import re
from collections.abc import Iterable

from mcvae_ops.errors import InputError
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
        self._reasons = reasons = undrawable(config)
        wanted = wanted_panels(config)
        self.drawable = [panel for panel in PANELS if panel not in reasons]
        self.drawn = [panel for panel in wanted if panel not in reasons]
        self.left_out = {panel: reasons[panel] for panel in wanted if panel in reasons}
        self.captions = {name: panel.caption for name, panel in PANELS.items()}

    def check_asked(self, targets: Iterable[str]) -> None:
        """Raise an `InputError` if a panel is asked for that cannot be drawn.

        Parameters
        ----------
        targets
            The targets. A panel is asked for by its name (``fig2a``) or by one of its files
            (``results/simulated/figures/fig2a.pdf``); other targets are not looked at.
        """
        for target in targets:
            asked = re.fullmatch(r"(?:.*/figures/)?(fig\w+)(?:\.\w+)?", target, re.IGNORECASE)
            if asked is None or asked[1] in self.drawable:
                continue
            if asked[1] in self._reasons:
                raise InputError(
                    where=target,
                    found=f"a panel that cannot be drawn because {self._reasons[asked[1]]}",
                    expected=f"some of {', '.join(self.drawable)}",
                    fix="ask for another panel, or give what it needs",
                )
            name = asked[1].lower()
            near = [panel for panel in self.drawable if panel.startswith(name)]
            near = near or [panel for panel in self.drawable if panel.startswith(name[:4])]
            raise InputError(
                where=target,
                found=f"no panel of the name {asked[1]}",
                expected=f"some of {', '.join(self.drawable)}",
                fix=f"write {' or '.join(near)} instead" if near else "correct the name",
            )

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
