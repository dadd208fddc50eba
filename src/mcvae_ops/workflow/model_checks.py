"""Checks of models, the cells that they learn from, encoders and given embeddings."""

from importlib.util import find_spec
from pathlib import Path

from mcvae_ops.embeddings.spaces import BASELINES, CELL_SHORTCUTS, CROP_SHORTCUTS, check_spaces
from mcvae_ops.encoder_files import SUFFIXES, files_of
from mcvae_ops.screen import crops_are_given
from mcvae_ops.weights_header import check_fit, read_header
from mcvae_ops.workflow.key_errors import check_there, wrong

PROFILES = "archive.profiles.genes"


def check_split(config: dict) -> None:
    """Refuse fractions that are no whole, and held out wells that the screen lacks."""
    total = sum(config["split"]["fractions"].values())
    if abs(total - 1) > 1e-9:
        raise wrong("split.fractions", f"a sum of {total:g}", "a sum of 1", "correct the fractions")
    wells = {f"{p}/{w}" for p, ws in config["screen"]["plates"].items() for w in ws}
    for well in config["split"]["held_out_wells"]:
        if well not in wells:
            raise wrong(
                "split.held_out_wells", repr(well), "a plate/well of screen.plates", "correct it"
            )


def check_models(config: dict) -> None:
    """Refuse models that are named and not there, or lack the space that is asked of them."""
    main, models = config["profiles"]["main_model"], config["models"]
    compared = config["profiles"]["compared_models"]
    for key, names in {"main_model": [main], "compared_models": compared}.items():
        for name in names:
            if name not in models:
                raise wrong(
                    f"profiles.{key}",
                    repr(name),
                    f"one of models ({', '.join(models)})",
                    "choose one of them",
                )
            is_given = config["source"] in ("embeddings", "profiles")
            if not models[name]["salient_latent"] and not is_given:
                raise wrong(
                    f"profiles.{key}",
                    f"{name!r}, which has no salient latent",
                    "a model whose salient_latent is above 0",
                    "choose a contrastive model",
                )
    if main in compared:
        raise wrong(
            "profiles.compared_models",
            f"{main!r}, which is profiles.main_model",
            "models to be drawn beside it",
            "leave it out",
        )
    for name, model in models.items():
        label_weight = model["training"].get("label_weight", config["training"]["label_weight"])
        if label_weight and not model["salient_latent"]:
            raise wrong(
                f"models.{name}",
                f"label_weight {label_weight:g} and no salient latent",
                "a salient latent, from which the label is predicted",
                "set salient_latent above 0, or label_weight to 0",
            )
    embedding = config["benchmarks"]["functions"]["significance"]
    if embedding not in {*models, *BASELINES}:
        raise wrong(
            "benchmarks.functions.significance",
            repr(embedding),
            f"cellprofiler, random or one of models ({', '.join(models)})",
            "choose one of them",
        )


def check_stored_models(config: dict) -> None:
    """Refuse weights of another run that do not fit this screen."""
    screen, size_px = config["screen"], config["crop"]["size_px"]
    for name, model in config["models"].items():
        if model["weights"]:
            check_fit(
                f"configuration key models.{name}.weights",
                read_header(model["weights"]),
                [channel["name"] for channel in screen["channels"]],
                {"size_px": size_px, "pixel_size_um": screen["pixel_size_um"]},
            )


def check_embeddings(config: dict) -> None:
    """Refuse vectors whose spaces are not those of the family, or that no run would read."""
    if config["source"] == "profiles":
        check_spaces(config["archive"]["profiles"]["genes"].get("spaces", {}), PROFILES)
    if config["source"] != "embeddings":
        if config["embeddings"]:
            raise wrong(
                "embeddings",
                ", ".join(config["embeddings"]),
                f"nothing, because source is {config['source']}",
                "set source: embeddings, or remove the section",
            )
        return
    for name, entry in config["embeddings"].items():
        check_spaces(entry["spaces"], f"embeddings.{name}")


def check_encoders(config: dict) -> None:
    """Refuse encoders without crops, and files and packages that are not there, or are none."""
    for name, encoder in config["encoders"].items():
        if config["source"] in ("embeddings", "profiles"):
            raise wrong(
                f"models.{name}.encoder",
                encoder["file"],
                f"nothing, because {_no_crops(config)}",
                "leave the model out",
            )
        key, file = f"models.{name}.encoder.file", encoder["file"]
        for path in files_of(file):
            check_there(key, path)
        package, sign, _ = file.partition(":")
        if Path(file).suffix not in SUFFIXES and not (sign and _is_installed(package)):
            raise wrong(
                key,
                f"{file}, whose package is not installed" if sign else file,
                f"a file whose name ends in {', '.join(SUFFIXES)}, or package:function",
                "install it, or name its folder in PYTHONPATH" if sign else "export the model",
            )


def _is_installed(package: str) -> bool:
    """Return whether there is such a package; only its first part is looked for, nothing is run."""
    first = package.partition(".")[0]
    return first.isidentifier() and find_spec(first) is not None


def check_shortcuts(config: dict) -> None:
    """Refuse shortcuts of crops where there are none, or none but for pictures."""
    asked = [name for name in config["benchmarks"]["shortcuts"] if name in CROP_SHORTCUTS]
    if asked and config["source"] in ("embeddings", "profiles"):
        raise wrong(
            "benchmarks.shortcuts",
            ", ".join(asked),
            f"some of {', '.join(CELL_SHORTCUTS)}, because {_no_crops(config)}",
            "leave it out",
        )


def _no_crops(config: dict) -> str:
    """Say why a source has no crops that cells could be embedded from."""
    if crops_are_given(config["cells"]):
        return f"source is {config['source']}, whose crops are for pictures alone"
    return f"source is {config['source']}, which has no crops"
