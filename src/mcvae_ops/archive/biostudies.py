"""A study of BioStudies: where its files lie."""

from mcvae_ops.archive.transfer import is_remote, local_path, read_json
from mcvae_ops.errors import InputError


def files_root(study: str, archive: dict) -> str:
    """Return the address below which a study's files lie, with a slash at its end."""
    if not is_remote(study):
        return (local_path(study).resolve().parent / "Files").as_uri() + "/"
    info = read_json(f"{study.rstrip('/')}/info", archive)
    if not isinstance(info, dict) or not isinstance(info.get("httpLink"), str):
        raise InputError(
            where=f"{study}/info",
            found="no httpLink",
            expected="the address of the files",
            fix="set archive.root to it",
        )
    return info["httpLink"].rstrip("/") + "/Files/"
