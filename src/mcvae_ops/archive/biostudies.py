"""A study of BioStudies: where its JSON and its files lie."""

from mcvae_ops.archive.addresses import is_accession, is_remote, local_path
from mcvae_ops.archive.transfer import read_json
from mcvae_ops.errors import InputError

SERVER = "https://www.ebi.ac.uk/biostudies/api/v1/studies/"


def study_address(study: str) -> str:
    """Return the address of a study's JSON, from its accession, path or address."""
    return SERVER + study if is_accession(study) else study


def files_root(study: str, archive: dict) -> str:
    """Return the address below which a study's files lie, with a slash at its end."""
    study = study_address(study)
    if not is_remote(study):
        return (local_path(study).resolve().parent / "Files").as_uri() + "/"
    info = read_json(f"{study.rstrip('/')}/info", archive)
    link = info.get("httpLink") if isinstance(info, dict) else None
    if not isinstance(link, str) or not is_remote(link):
        raise InputError(
            where=f"{study}/info",
            found="no httpLink to a server",
            expected="the address of the files",
            fix="set archive.root to it",
        )
    return link.rstrip("/") + "/Files/"
