"""Training and embedding on small shards, and going on after any interruption."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

import mcvae_ops
from mcvae_ops.errors import InputError
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.objective import (
    ADDITIONAL_TERMS,
    Term,
    objective,
    term_names,
    weights_from,
)
from mcvae_ops.shards.crops import Crops
from mcvae_ops.shards.training_cells import read_training_cells
from mcvae_ops.training import embed
from mcvae_ops.training.diagnostics import PersistentWarnings, salient_warnings
from mcvae_ops.training.embed import embed_cells, join_embeddings, load_model
from mcvae_ops.training.precision import full_precision
from mcvae_ops.training.prepare import (
    Schedule,
    fixed_settings,
    merged_settings,
    validation_set,
)
from mcvae_ops.training.train import train_model
from mcvae_ops.training.validate import CELLS_AT_A_TIME, NOISE_SEED, validate
from tests.helpers.fake_shards import (
    CHANNELS,
    MCVAE,
    TRAINING,
    VAE,
    embedding_arguments,
    train_model_arguments,
    write_fake_screen,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_fake_screen(tmp_path_factory.mktemp("screen"))


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    arguments = train_model_arguments(shards, out, MCVAE, TRAINING | {"epochs": 40})
    train_model(**arguments)
    return arguments


def expected_of(trained: dict) -> dict:
    """Return what `load_model` is to find in the weights."""
    settings = fixed_settings(merged_settings(trained["model"], trained["training"]))
    return {"model": "mcvae", "seed": 0, "channels": CHANNELS, "settings": settings}


def metrics_of(arguments: dict, phase: str) -> list[dict]:
    return [row for row in pq.read_table(arguments["metrics"]).to_pylist() if row["phase"] == phase]


def accuracy_from_s(trained: dict, folder: Path) -> float:
    """Return the share of held-out cells whose gene a linear fit tells from s."""
    embedding = folder / "embedding.parquet"
    embed_cells(**embedding_arguments(trained, embedding))
    table = pq.read_table(embedding)
    s = np.array([np.ones(table.num_rows), *(table[f"s_{k:02d}"] for k in range(4))]).T
    cells = read_training_cells(trained["cells"])
    label, is_train = cells.label, np.isin(np.arange(len(cells)), cells.in_split("train"))
    fitted, held_out = is_train & (label > 0), ~is_train & (label > 0)
    coefficients = np.linalg.lstsq(s[fitted], np.eye(5)[label[fitted]], rcond=None)[0]
    found = (s[held_out] @ coefficients).argmax(axis=1)
    return (found == label[held_out]).mean()


def family_of(trained: dict) -> FamilySettings:
    """Return the settings of the network that was trained."""
    content = torch.load(trained["weights"], weights_only=True)
    return FamilySettings(**content["family"])


def perturbed_share(arguments: dict) -> float:
    """Return the share of perturbed cells among the validation cells."""
    cells = read_training_cells(arguments["cells"])
    return (cells.label[cells.in_split("validation")] > 0).mean()


def test_validation_improves_and_the_terms_add_up(trained):
    rows = metrics_of(trained, "validation")
    assert len(rows) == 40 and rows[-1]["epoch"] == 40
    assert rows[-1]["negative_elbo"] < rows[0]["negative_elbo"] - 500
    assert min(row["negative_elbo"] for row in rows) == pytest.approx(
        rows[-1]["negative_elbo"], abs=50
    )
    row = metrics_of(trained, "train")[-1]
    assert all(np.isfinite(row[name]) for name in term_names()) and row["cells_per_s"] > 0
    terms = row["negative_log_likelihood"] + row["kl_z"] + row["kl_s"] / 2
    assert row["negative_elbo"] == pytest.approx(terms, rel=1e-5)


def test_the_planted_effect_is_in_the_salient_space(trained, tmp_path):
    # Each gene has its own ring; the radius and the brightness of a cell are its background.
    row = metrics_of(trained, "validation")[-1]
    assert row["active_units_s"] >= 1 and row["nats_without_s"] > 5
    assert accuracy_from_s(trained, tmp_path) > 0.4  # chance: 0.25


def test_equal_runs_write_equal_bytes_and_leave_no_checkpoint(shards, tmp_path):
    written = []
    for name in ("a", "b"):
        arguments = train_model_arguments(shards, tmp_path / name, MCVAE, TRAINING)
        train_model(**arguments)
        written.append(Path(arguments["weights"]).read_bytes())
        assert not list(Path(arguments["checkpoint_dir"]).glob("*"))
    assert written[0] == written[1]


def test_a_model_may_change_keys_of_training(shards, tmp_path):
    model = VAE | {"training": {"epochs": 1, "network": "conv96", "condition_on_batch": True}}
    arguments = train_model_arguments(shards, tmp_path, model, TRAINING)
    train_model(**arguments)
    content = torch.load(arguments["weights"], weights_only=True)
    assert content["family"]["network"] == "conv96"
    (row,) = metrics_of(arguments, "validation")
    assert row["epoch"] == 1 and row["kl_s"] is None
    embedding = tmp_path / "embedding.parquet"
    embed_cells(**embedding_arguments(arguments, embedding))
    assert pq.read_schema(embedding).names == ["cell_id", *(f"z_{k:02d}" for k in range(5))]


def test_log_variances_stand_beside_the_means_on_request(trained, tmp_path):
    embedding = str(tmp_path / "embedding.parquet")
    embed_cells(**embedding_arguments(trained, embedding) | {"log_variance": True})
    table = pq.read_table(embedding)
    plain = embedding_arguments(trained, tmp_path / "plain.parquet")
    embed_cells(**plain)
    means = pq.read_table(plain["embedding"])
    assert table.select(means.column_names).equals(means)
    rest = table.column_names[means.num_columns :]
    assert rest == [f"log_variance_{name}" for name in means.column_names[1:]]
    # Perturbed validation cells: their mean divergence from N(0, 1) is that of the monitors of z.
    cells = read_training_cells(trained["cells"])
    network = mcvae_ops.load(trained["weights"]).network
    chosen = cells.in_split("validation")
    prior = network.prior_z.weight.detach().numpy()[cells.label[chosen]]
    mean, log_variance = (np.array([table[f"{start}z_0{k}"] for k in range(5)]).T[chosen]
                          for start in ("", "log_variance_"))  # fmt: skip
    kl = 0.5 * ((mean - prior) ** 2 + np.exp(log_variance) - log_variance - 1).sum(axis=1)
    best = min(metrics_of(trained, "validation"), key=lambda row: row["monitored"])
    assert kl.mean() == pytest.approx(best["kl_z"], rel=1e-3)
    assert kl[cells.label[chosen] == 0].mean() == pytest.approx(best["kl_z_ntc"], rel=1e-3)
    assert best["nats_without_z"] > 5
    assert np.isnan(best["arm_auroc_z"])  # fewer than LEAST_TESTED cells are tested here


def test_a_technical_space_is_trained_and_exported(shards, tmp_path):
    training = TRAINING | {"technical_latent": 2, "hsic_weight": 10.0}
    arguments = train_model_arguments(shards, tmp_path, MCVAE, training)
    train_model(**arguments)
    row = metrics_of(arguments, "validation")[-1]
    assert row["kl_t"] > 0 and len(row["kl_per_dimension_t"]) == 2 and -0.5 < row["hsic"] < 2
    embedding = str(tmp_path / "embedding.parquet")
    embed_cells(**embedding_arguments(arguments, embedding))
    assert pq.read_schema(embedding).names[-3:] == ["z_04", "t_00", "t_01"]


def test_a_head_makes_labels_felt_in_s(shards, tmp_path):
    training = TRAINING | {"epochs": 40, "label_weight": 300.0, "gradient_clip_norm": 300.0}
    training |= {"normalise_batches": True, "augmentation": True}
    model = MCVAE | {"prior_s_per_label": False, "prior_z_per_label": False}
    arguments = train_model_arguments(shards, tmp_path, model, training)
    train_model(**arguments)
    row = metrics_of(arguments, "validation")[-1]
    assert row["label"] < 0.7 * np.log(4) and row["nats_without_s"] > 5
    assert row["mean_abs_s_ntc"] < 0.8 * row["mean_abs_s_perturbed"]
    perturbed = perturbed_share(arguments)
    monitored = row["negative_elbo"] + 300.0 * row["label"] * perturbed
    assert row["monitored"] == pytest.approx(monitored, rel=1e-5)
    assert accuracy_from_s(arguments, tmp_path) > 0.5  # chance: 0.25


def test_without_pixels_the_decoder_learns_nothing(shards, tmp_path):
    training = TRAINING | {"likelihood_weight": 0.0, "label_weight": 10.0}
    arguments = train_model_arguments(shards, tmp_path, MCVAE, training)
    train_model(**arguments)
    state = torch.load(arguments["weights"], weights_only=True)["state"]
    first = ContrastiveVAE(family_of(arguments), 0).state_dict()
    same = {name for name, value in state.items() if torch.equal(value, first[name])}
    assert {name for name in state if name.startswith("decoder")} <= same
    assert "label_head.weight" not in same


def mean_size_of_s(inference, label: torch.Tensor) -> torch.Tensor | None:
    if "s" not in inference.posterior:
        return None
    return inference.posterior["s"].mean.abs().mean(dim=1).masked_fill(label == 0, 0.0)


def test_a_new_term_is_one_entry_and_is_trained_validated_and_logged(shards, tmp_path, monkeypatch):
    term = Term("sparsity_weight", "perturbed", mean_size_of_s, is_monitored=False)
    monkeypatch.setitem(ADDITIONAL_TERMS, "sparsity", term)
    sizes = []
    for weight in (0.0, 100.0):
        training = TRAINING | {"epochs": 10, "sparsity_weight": weight}
        arguments = train_model_arguments(shards, tmp_path / str(weight), MCVAE, training)
        train_model(**arguments)
        assert metrics_of(arguments, "train")[-1]["sparsity"] > 0
        sizes.append(metrics_of(arguments, "validation")[-1])
    assert sizes[1]["sparsity"] < 0.7 * sizes[0]["sparsity"]
    perturbed = perturbed_share(arguments)
    row = sizes[1]
    beside = row["wasserstein"] * (1 - perturbed) + 100.0 * row["sparsity"] * perturbed
    assert row["loss"] == pytest.approx(row["monitored"] + beside, rel=1e-5)
    vae = train_model_arguments(shards, tmp_path / "vae", VAE, training)
    train_model(**vae)
    assert metrics_of(vae, "train")[-1]["sparsity"] == 0
    assert metrics_of(vae, "validation")[-1]["sparsity"] is None


def test_validation_sums_the_terms_as_training_does(trained):
    device, cells = torch.device("cpu"), read_training_cells(trained["cells"])
    model, preprocess = load_model(trained["weights"], expected_of(trained), device)
    crops = Crops(Path(trained["index"]).parent.parent, cells)
    chosen = validation_set(cells, crops, trained["index"], device)
    assert len(chosen.label) <= CELLS_AT_A_TIME  # so that both draw the same noise
    weights = weights_from(trained["training"])
    validated = validate(model, chosen, preprocess, weights)
    with torch.no_grad():
        images = preprocess(chosen.crops, chosen.batch)
        noise = torch.Generator().manual_seed(NOISE_SEED)
        inference = model(images, chosen.label, chosen.batch, noise)
        terms = objective(model, images, chosen.label, inference, weights, weights.kl_warmup_steps)
    expected = {name: value.item() for name, value in terms.items() if name in validated}
    assert {"loss", "negative_elbo", "kl_s", "kl_z", "wasserstein"} <= set(expected)
    assert {name: validated[name] for name in expected} == pytest.approx(expected, rel=1e-5)


def test_batches_without_controls_cannot_be_normalised(shards, tmp_path):
    statistics = pq.read_table(shards / "statistics.parquet")
    some = statistics.filter(pc.not_equal(statistics["batch"], "P/A2"))
    pq.write_table(some, tmp_path / "some.parquet")
    arguments = train_model_arguments(
        shards, tmp_path, MCVAE, TRAINING | {"normalise_batches": True}
    )
    arguments |= {"statistics": str(tmp_path / "some.parquet")}
    with pytest.raises(InputError, match=r"normalise_batches: every NTC cell of batch P/A2"):
        train_model(**arguments)


def test_the_best_weights_are_kept_and_stale_training_stops(shards, tmp_path):
    # With a rate of 0 nothing improves after the first validation.
    training = TRAINING | {"learning_rate": 0.0, "epochs": 50, "early_stopping_patience": 2}
    arguments = train_model_arguments(shards, tmp_path, MCVAE, training)
    train_model(**arguments)
    assert len(metrics_of(arguments, "validation")) == 3


def test_divergence_is_an_error_not_a_result(shards, tmp_path):
    training = TRAINING | {"learning_rate": 1e9, "schedule": "constant"}
    arguments = train_model_arguments(shards, tmp_path, MCVAE, training)
    with pytest.raises(InputError, match="learning_rate"):
        train_model(**arguments)
    assert not Path(arguments["weights"]).exists()


def test_embedding_is_aligned_with_the_index_and_of_the_named_model(trained, tmp_path):
    embedding = tmp_path / "embedding.parquet"
    embed_cells(**embedding_arguments(trained, embedding))
    table = pq.read_table(embedding)
    assert table.schema.metadata == {b"model": b"mcvae", b"seed": b"0"}
    assert table["cell_id"].equals(pq.read_table(trained["index"])["cell_id"])
    assert table.schema.names[1:] == [*(f"s_{k:02d}" for k in range(4)),
                                      *(f"z_{k:02d}" for k in range(5))]  # fmt: skip
    model, preprocess = load_model(trained["weights"], expected_of(trained), torch.device("cpu"))
    crops = Crops(Path(trained["index"]).parent.parent, read_training_cells(trained["cells"]))
    positions = np.array([200, 3, 77])
    with torch.no_grad():
        means = model.embed(preprocess(torch.from_numpy(crops.read(positions)), None))
    rows = table.take(positions).to_pydict()
    found = np.array([rows[name] for name in table.schema.names[1:]]).T
    np.testing.assert_allclose(found, torch.cat([*means.values()], dim=1).numpy(), atol=1e-5)


def test_weights_of_another_configuration_are_refused(trained, tmp_path):
    arguments = embedding_arguments(trained, tmp_path / "embedding.parquet")
    for change, sentence in (
        ({"model_name": "cvae"}, "weights of model mcvae, expected cvae"),
        ({"seed": 1}, "weights of seed 0, expected 1"),
        ({"model": MCVAE | {"salient_latent": 3}}, "salient_latent 4, expected 3"),
        ({"training": trained["training"] | {"arcsinh_offset": 2.0}}, "arcsinh_offset 1.5"),
        ({"training": trained["training"] | {"kl_weight": 2.0}}, "kl_weight 1.0"),
    ):
        with pytest.raises(InputError, match=sentence):
            embed_cells(**arguments | change)
    embed_cells(**arguments | {"training": trained["training"] | {"checkpoint_minutes": 3.0}})


def test_parts_of_an_embedding_are_joined_to_the_whole(trained, tmp_path):
    whole, joined = str(tmp_path / "whole.parquet"), str(tmp_path / "joined.parquet")
    embed_cells(**embedding_arguments(trained, whole))
    parts = [str(tmp_path / f"{part}.parquet") for part in range(3)]
    for part, path in enumerate(parts):
        embed_cells(**embedding_arguments(trained, path) | {"part": part, "parts": 3})
    join_embeddings(trained["index"], parts, joined)
    expected, found = pq.read_table(whole), pq.read_table(joined)
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found["cell_id"].equals(expected["cell_id"])
    for name in expected.schema.names[1:]:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    for wrong in (parts[::-1], parts[:2], [parts[0], parts[0], parts[2]]):
        with pytest.raises(InputError):
            join_embeddings(trained["index"], wrong, joined)


def test_a_single_part_is_joined_byte_by_byte(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(embed, "CELLS_AT_A_TIME", 16)
    monkeypatch.setattr(embed, "CELLS_PER_ROW_GROUP", 64)
    part, joined = tmp_path / "0.parquet", tmp_path / "joined.parquet"
    embed_cells(**embedding_arguments(trained, part))
    assert pq.ParquetFile(part).num_row_groups > 2
    join_embeddings(trained["index"], [str(part)], str(joined))
    assert joined.read_bytes() == part.read_bytes()


def test_crops_of_other_channels_are_refused(trained):
    channels = trained["channels"][::-1]
    with pytest.raises(InputError, match=r"screen\.channels: .*expected A594, AF750, DAPI, GFP"):
        train_model(**trained | {"channels": channels})
    with pytest.raises(InputError, match="channels"):
        other = expected_of(trained) | {"channels": CHANNELS[::-1]}
        load_model(trained["weights"], other, torch.device("cpu"))


def test_a_checkpoint_of_other_settings_is_not_used(shards, tmp_path):
    expected = train_model_arguments(shards, tmp_path / "new", MCVAE, TRAINING)
    train_model(**expected)
    folder = tmp_path / "old" / "checkpoint"
    folder.mkdir(parents=True)
    torch.save({"identity": "another", "state": {}}, folder / "checkpoint.pt")
    found = train_model_arguments(shards, tmp_path / "old", MCVAE, TRAINING)
    train_model(**found)
    assert Path(found["weights"]).read_bytes() == Path(expected["weights"]).read_bytes()


def test_cosine_schedule_falls_to_zero():
    schedule = Schedule(1, 0.4, "cosine", 1.0, 1)
    rates = [schedule.learning_rate_at(step, 100) for step in (0, 50, 100)]
    assert rates == pytest.approx([0.4, 0.2, 0.0])
    assert Schedule(1, 0.4, "constant", 1.0, 1).learning_rate_at(99, 100) == 0.4


def test_the_rooms_import_with_torch_numpy_and_pyarrow_alone():
    code = """
import sys
for name in ("pandas", "scipy", "sklearn", "yaml", "skimage", "matplotlib", "snakemake"):
    sys.modules[name] = None
sys.modules["tensorboard"] = None
import mcvae_ops.training.train, mcvae_ops.training.embed
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_dead_salient_space_is_warned_of_and_a_sound_one_is_not(
    trained, shards, tmp_path, caplog
):
    training = TRAINING | {"epochs": 20, "wasserstein_weight": 1e4}
    collapsed = train_model_arguments(shards, tmp_path, MCVAE, training)
    train_model(**collapsed)
    assert "the salient space is dead" in caplog.text
    assert "salient_is_dead" in salient_warnings(metrics_of(collapsed, "validation")[-1])
    assert salient_warnings(metrics_of(trained, "validation")[-1]) == {}


def test_leaking_controls_are_warned_of_once(caplog):
    sound = {"nats_without_s": 300.0, "kl_s": 80.0}
    sound |= {"mean_abs_s_ntc": 0.1, "mean_abs_s_perturbed": 0.2}
    leaking = sound | {"mean_abs_s_ntc": 0.2}
    assert salient_warnings(sound) == {} == salient_warnings({"kl_z": 3.0})
    assert "mean |s| is 0.2 in control" in salient_warnings(leaking)["controls_leak"]
    watch = PersistentWarnings()
    with caplog.at_level("INFO"):
        for step, values in enumerate([leaking] * 3 + [sound] + [leaking] * 5 + [sound] * 2):
            watch.update(values, step)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].startswith("step 7: controls leak into the salient space")
    assert messages[1:] == ["step 9: no longer controls leak"]


def test_metrics_tell_speed_mixing_and_the_kl_of_each_dimension(trained):
    row = metrics_of(trained, "train")[-1]
    assert 0 <= row["loader_wait_share"] < 1
    assert row["wells_per_batch"] == 2 and 8 < row["tiles_per_batch"] <= 16
    row = metrics_of(trained, "validation")[-1]
    for space, n_dimensions in (("s", 4), ("z", 5)):
        nats = row[f"kl_per_dimension_{space}"]
        assert len(nats) == n_dimensions and sum(nats) == pytest.approx(
            row[f"kl_{space}"], rel=1e-5
        )


def test_tensorboard_shows_the_same_numbers(trained):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(trained["tensorboard_dir"]).Reload()
    for phase in ("train", "validation"):
        found = [event.value for event in events.Scalars(f"negative_elbo/{phase}")]
        expected = [row["negative_elbo"] for row in metrics_of(trained, phase)]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert "loader_wait_share/train" in events.Tags()["scalars"]


def test_samples_show_cells_and_what_the_model_makes_of_them(trained):
    samples = pq.read_table(trained["samples"])
    arms = samples.group_by(["cell_id", "is_ntc"]).aggregate([([], "count_all")]).to_pylist()
    assert {row["count_all"] for row in arms} == {4 * 16 * 16} and len(arms) == 10  # 4 NTC
    shown, made, without = (
        samples[name].to_numpy() for name in ("input", "reconstruction", "without_s")
    )
    is_ntc = samples["is_ntc"].to_numpy()
    assert np.array_equal(made[is_ntc], without[is_ntc])
    error = [((shown - other)[~is_ntc] ** 2).mean() for other in (made, without)]
    assert error[0] < 0.95 * error[1] and error[0] < 0.1 * shown.var()


@pytest.mark.parametrize("way", [{"precision": "bf16"}, {"precision": "tf32"}])
def test_another_precision_gives_nearly_the_same_training(way, shards, tmp_path):
    elbo = []
    for name, settings in (("plain", {}), ("other", way)):
        training = TRAINING | {"epochs": 5} | settings
        arguments = train_model_arguments(shards, tmp_path / name, MCVAE, training)
        train_model(**arguments)
        elbo.append([row["negative_elbo"] for row in metrics_of(arguments, "validation")])
    gained = elbo[0][0] - elbo[0][-1]
    assert gained > 100
    assert elbo[1][-1] == pytest.approx(elbo[0][-1], abs=0.1 * gained)


def test_what_is_compared_is_computed_in_float32_whatever_the_training_does():
    places = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [place.allow_tf32 for place in places]
    try:
        for place in places:
            place.allow_tf32 = True
        with full_precision():
            assert not any(place.allow_tf32 for place in places)
        assert all(place.allow_tf32 for place in places)
    finally:
        for place, was in zip(places, before, strict=True):
            place.allow_tf32 = was
