"""The environment of the page templates of this folder."""

import json

import jinja2
import pandas as pd
from markupsafe import Markup

from mcvae_ops.figures import style


def number(value: float) -> str:
    """Return a number as text for a table; NaN becomes empty text."""
    if pd.isna(value):
        return ""
    if 0 < abs(value) < 0.0005:
        return f"{value:.1e}".replace("-", "−")
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def count(value: float) -> str:
    """Return a whole number as text for a table; NaN becomes empty text."""
    return "" if pd.isna(value) else f"{round(value):,}"


def plain(name: str) -> str:
    """Return a name of the code as words."""
    return name.replace("_", " ")


def script(data: dict) -> Markup:
    """Return data as JSON that may stand in a page."""
    return Markup(json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"))


def environment() -> jinja2.Environment:
    """Return the template environment, with the filters that templates use."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mcvae_ops.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": number,
        "count": count,
        "plain": plain,
        "script": script,
        "model": style.model_name,
    }
    return environment
