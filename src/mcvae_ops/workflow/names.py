"""The wildcard values of a run: its places and its embeddings.

The configuration fixes all of them, so no rule has to wait to learn the names of its inputs. What
is named in the plural of a file holds keyword arguments for ``expand(..., zip, **values)``.
"""

from mcvae_ops.embeddings.spaces import BASELINES, SHORTCUTS, UNTRAINED, WHITENED
from mcvae_ops.screen import ALL_TILES, folder_name, tile_numbers
from mcvae_ops.weights_header import read_header

ARMS = ("ntc", "perturbed")


def without_features(config: dict) -> str | None:
    """Say why the cells of a screen have no classical features; None where they may have some."""
    tables = config["cells"]
    if len(tables) == 1 and tables[0]["table"] is None and tables[0]["measure"] is False:
        return "cells.measure is false: cells have no classical features"
    if config["source"] == "embeddings":
        return "source is embeddings, which has no classical features beside them"
    if config["source"] != "profiles" and not config["screen"]["features"]:
        return "screen.features is empty: cells have no classical features"
    return None


class Places:
    """Where cells lie on a screen: plates and wells as `folder_name` spells them.

    Attributes
    ----------
    plates
        Plates.
    wells
        plate and well.
    chunks
        plate, well and chunk of the well's tiles; none where the tables alone say the tiles.
    shards
        plate, well, chunk and arm (ntc, perturbed).
    """

    def __init__(self, config: dict) -> None:
        tiles = config["screen"]["tiles"]
        n_tiles = 0 if tiles == ALL_TILES else len(tile_numbers(tiles))
        n_chunks = -(-n_tiles // config["crop"]["tiles_per_chunk"])
        plates = {folder_name(p): wells for p, wells in config["screen"]["plates"].items()}
        wells = [(plate, folder_name(well)) for plate, names in plates.items() for well in names]
        chunks = [(*well, f"{k:03d}") for well in wells for k in range(n_chunks)]
        shards = [(*chunk, arm) for chunk in chunks for arm in ARMS]
        self.plates = list(plates)
        self.wells = _columns(wells, "plate", "well")
        self.chunks = _columns(chunks, "plate", "well", "chunk")
        self.shards = _columns(shards, "plate", "well", "chunk", "arm")


class Embeddings:
    """Models, with the seeds of their trainings; baselines have the seed 0.

    Attributes
    ----------
    trained, all
        model and seed of every training of the run; of every embedding: those of trainings or those
        that others made, those of encoders, and the baselines: CellProfiler where cells have
        features (whitened, too, on request), random vectors and the shortcuts of
        ``benchmarks.shortcuts``.
    shown_models
        Models of figures 3, 4 and 5: the main one, then those compared with it.
    trained_models, stored_models
        Models that are trained here; those whose weights another run has trained, with one seed.
    shown
        model and seed of the embeddings that every benchmark judges: theirs, those of encoders,
        CellProfiler's and the shortcuts'; of published profiles, the random ones.
    encoders
        Encoders that others trained, those whose licence allows the use.
    shown_trainings
        "model/seed" of the first training of each of `shown_models`: their UMAPs, reconstructions.
    main
        "model/seed" of what is explored and exported: the first of `shown_trainings`.
    significance
        "model/seed" of the embedding in which the significance of the guides is tested.
    """

    def __init__(self, config: dict) -> None:
        seeds, profiles = config["training"]["seeds"], config["profiles"]
        self._models, self._batches = config["models"], batch_names(config["screen"])
        self.stored_models = [m for m, entry in self._models.items() if entry.get("weights")]
        self.trained_models = [m for m in self._models if m not in self.stored_models]
        trained = [
            (model, seed)
            for model in self._models
            for seed in (seeds[:1] if model in self.stored_models else seeds)
        ]
        shortcuts = config["benchmarks"]["shortcuts"]
        self.encoders = [
            name
            for name, encoder in config["encoders"].items()
            if encoder["commercial"] or not config["commercial_use"]
        ]
        self._licences = {
            name: {key: encoder[key] for key in ("licence", "commercial")}
            for name, encoder in config["encoders"].items()
        }
        self._is_published = config["source"] == "profiles"
        names = [*self.encoders, *BASELINES, *shortcuts]
        if self._is_published:
            names = ["random"]
        elif without_features(config):
            names.remove("cellprofiler")
        elif profiles["whitened_cellprofiler"]:
            names.append(WHITENED)
        baselines = [(model, 0) for model in names]
        self.shown_models = [profiles["main_model"], *profiles["compared_models"]]
        judged = {*self.shown_models, *self.encoders, "cellprofiler", WHITENED, *shortcuts}
        if self._is_published:  # it stands for the shortcuts, which need cells
            judged.add("random")
        shown = [pair for pair in trained + baselines if pair[0] in judged]
        self._given = config["embeddings"]
        are_given = self._given or self._is_published
        self.trained = _columns([] if are_given else trained, "model", "seed")
        self.all = _columns(trained + baselines, "model", "seed")
        self.shown = _columns(shown, "model", "seed")
        self.shown_trainings = [f"{model}/{seeds[0]}" for model in self.shown_models]
        self.main = self.shown_trainings[0]
        tested = config["benchmarks"]["functions"]["significance"]
        self.significance = f"{tested}/{0 if tested in UNTRAINED else seeds[0]}"

    @property
    def kinds(self) -> dict[str, dict]:
        """What a score card says of each model of `all`: its kind, and of encoders the licence."""
        kinds = dict.fromkeys(("cellprofiler", WHITENED), "classical features")
        kinds |= {"random": "shortcut"}
        kinds |= dict.fromkeys(SHORTCUTS, "shortcut") | dict.fromkeys(self.encoders, "encoder")
        if self._is_published:  # of which nobody says what it learnt from
            kinds[self.shown_models[0]] = "given"
        for name in self.all["model"]:
            learnt = "trained on this screen" if self.is_trained(name) else "not trained on it"
            kinds.setdefault(name, f"given, {learnt}" if self._given else learnt)
        return {
            name: {"kind": kinds[name]} | self._licences.get(name, {})
            for name in dict.fromkeys(self.all["model"])
        }

    def is_trained(self, model: str) -> bool:
        """Return whether a model may have learnt from cells of the splits for training."""
        if model in (*UNTRAINED, *self.encoders):
            return False
        if model in self.stored_models:
            return not self._batches.isdisjoint(
                read_header(self._models[model]["weights"])["batches"]
            )
        return self._given[model]["trained"] if self._given else True


def batch_names(screen: dict) -> set[str]:
    """Return the names of the batches that a screen may have; see `shards.index.batches_of`."""
    places = [
        {"plate": plate, "well": well}
        for plate, wells in screen["plates"].items()
        for well in wells
    ]
    return {"/".join(place[part] for part in screen["batch"]) for place in places}


def _columns(rows: list[tuple], *names: str) -> dict[str, list]:
    return {name: [row[k] for row in rows] for k, name in enumerate(names)}
