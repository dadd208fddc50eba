"""Where the configuration says that files are: paths and addresses."""

from collections.abc import Iterable
from pathlib import Path

from mcvae_ops.archive.addresses import scheme_of
from mcvae_ops.errors import InputError


def local_paths(places: Iterable[str | None]) -> list[str]:
    """Keep the places that are paths on this machine: those that a rule can take as input."""
    return [place for place in places if place is not None and scheme_of(place) is None]


def profile_places(profiles: dict | None) -> dict[str, str]:
    """Return where published profiles are, by their key in the configuration."""
    return {
        f"archive.profiles.{name}": entry["table"]
        for name, entry in (profiles or {}).items()
        if entry is not None and "table" in entry
    }


def fill_in(value: object, screen: str) -> object:
    """Replace ``{screen}`` by the name of the screen in every text of a section."""
    if isinstance(value, dict):
        return {key: fill_in(item, screen) for key, item in value.items()}
    if isinstance(value, list):
        return [fill_in(item, screen) for item in value]
    return value.replace("{screen}", screen) if isinstance(value, str) else value


def locate(figures: dict, repository: Path) -> dict:
    """Find the folder of the paper's numbers where the run is, or else in the repository.

    Parameters
    ----------
    figures
        Section of the configuration.
    repository
        Folder of the workflow.

    Raises
    ------
    InputError
        If neither holds such numbers.
    """
    folder = figures["published_values"]
    if folder is None:
        return figures
    for place in (Path(folder), repository / folder):
        if any(place.glob("fig*_*.tsv")):
            return figures | {"published_values": str(place)}
    raise InputError(
        where="configuration key figures.published_values",
        found=f"{folder}, which holds no file such as fig4b_confusion.tsv",
        expected="a folder with the paper's numbers, or null",
        fix="correct it",
    )
