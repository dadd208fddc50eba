"""List the simulated study as archives do: BioStudies for images, Dataverse for features."""

import hashlib
import json
from pathlib import Path

from mcvae_ops.files import write_text

ACCESSION = "S-SIM1"


def study_of(accession: str, title: str) -> dict:
    """Return the description of a study in the format of BioStudies.

    As in the real archive, the section of the images is inside a list, other sections are not, and
    some values are null.
    """
    file_list = {"name": "File List", "value": f"{accession}.json"}
    images = {
        "accno": f"{accession}-images",
        "type": "Study Component",
        "attributes": [{"name": "Name", "value": "phenotype images"}, file_list],
        "files": None,
    }
    section = {
        "accno": f"{accession}-study",
        "type": "Study",
        "attributes": [{"name": "Title", "value": title}],
        "subsections": [[images], {"type": "Organisation", "attributes": None}],
        "links": None,
    }
    root = [{"name": "Title", "value": title}, {"name": "RootPath", "value": accession}]
    return {"accno": accession, "attributes": root, "section": section, "type": "submission"}


def list_folder(folder: Path, root: Path) -> list[dict]:
    """Return the files below a folder as BioStudies lists them, by path relative to `root`."""
    return [
        {
            "path": path.relative_to(root).as_posix(),
            "size": path.stat().st_size,
            "attributes": [],
            "type": "file",
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]


def dataset_of(parts: list[Path]) -> dict:
    """Return feature tables as Dataverse lists them, each in the folder of its label."""
    files = []
    for number, path in enumerate(sorted(parts), start=1):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        data = {
            "id": number,
            "filename": path.name,
            "filesize": path.stat().st_size,
            "md5": md5,
            "checksum": {"type": "MD5", "value": md5},
        }
        labels = {"label": path.name, "directoryLabel": path.parent.name, "restricted": False}
        files.append(labels | {"dataFile": data})
    return {"status": "OK", "data": {"latestVersion": {"files": files}}}


def simulate_study(screen: dict, plates: list[str], study: str, file_list: str) -> None:
    """Rule simulate_study: write the description of the study and its list of files.

    Parameters
    ----------
    screen
        Section of the configuration.
    plates
        Folders of the plates.
    study, file_list
        Outputs.
    """
    root = Path(file_list).parent
    entries = [entry for plate in sorted(plates) for entry in list_folder(Path(plate), root)]
    content = study_of(ACCESSION, f"Simulated optical pooled screen {screen['name']}")
    write_text(json.dumps(content, indent=1) + "\n", study)
    write_text(json.dumps(entries), file_list)


def simulate_dataset(parts: list[str], dataset: str) -> None:
    """Rule simulate_dataset: list the feature tables.

    Parameters
    ----------
    parts
        The feature tables.
    dataset
        Output.
    """
    write_text(json.dumps(dataset_of([Path(part) for part in parts]), indent=1) + "\n", dataset)
