"""Index, splits and statistics of shards, against what was written."""

import json

import numpy as np
import pandas as pd
import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.shards.format import write_shard
from mcvae_ops.shards.index import index_shards
from mcvae_ops.shards.split import assign_splits, choose_held_out_guides, split_by_names
from mcvae_ops.shards.statistics import shard_statistics

CHANNELS = ["a", "b"]
SPLIT = {
    "by": "cell",
    "seed": 0,
    "fractions": {"train": 0.8, "validation": 0.05, "test": 0.15},
    "held_out_guides_per_gene": 1,
    "held_out_wells": [],
    "held_out_genes": [],
}


def cells_of(rng, plate, well, chunk, is_ntc, n):
    gene = np.where(is_ntc, "NTC", rng.choice(["G1", "G2"], n))
    return pd.DataFrame(
        {
            "cell_id": [f"{plate}_{well}_{chunk}_{is_ntc}_{k}" for k in range(n)],
            "plate": plate,
            "well": well,
            "tile": np.arange(n) // 5,
            "guide": [f"{g}-{k % 4}" for k, g in enumerate(gene)],
            "gene": gene,
            "is_ntc": is_ntc,
        }
    )


@pytest.fixture
def screen(tmp_path):
    rng = np.random.default_rng(0)
    root, shards = tmp_path / "results" / "s", {}
    for plate, well, chunk in [("P1", "A1", "000"), ("P1", "A1", "001"), ("P0", "B1", "000")]:
        for arm in ("perturbed", "ntc"):
            n = 60 if arm == "perturbed" else 30
            crops = rng.integers(0, 5000, (n, 2, 6, 6), dtype=np.uint16)
            path = root / "crops" / plate / well / f"{chunk}.{arm}.npy"
            cells = cells_of(rng, plate, well, chunk, arm == "ntc", n)
            write_shard(crops, np.arange(n), cells, CHANNELS, path)
            shards[str(path)] = crops
    return root, shards


@pytest.fixture
def index(screen):
    root, shards = screen
    index_shards(list(shards), str(root), ["plate", "well"], str(root / "shards" / "index.parquet"))
    return str(root / "shards" / "index.parquet")


def test_the_index_finds_every_crop(screen, index):
    root, shards = screen
    table = pd.read_parquet(index)
    assert list(table.columns[:2]) == ["shard", "row"]
    assert table["shard"].unique().tolist() == [
        "crops/P0/B1/000.ntc.npy",
        "crops/P0/B1/000.perturbed.npy",
        "crops/P1/A1/000.ntc.npy",
        "crops/P1/A1/000.perturbed.npy",
        "crops/P1/A1/001.ntc.npy",
        "crops/P1/A1/001.perturbed.npy",
    ]
    for row in table.sample(20, random_state=0).itertuples():
        rows = pd.read_parquet((root / row.shard).with_suffix(".parquet"))
        assert rows["cell_id"][row.row] == row.cell_id
        assert str(root / row.shard) in shards


@pytest.mark.parametrize(
    ("batch", "names"),
    [(["plate", "well"], ["P0/B1", "P1/A1"]), (["plate"], ["P0", "P1"])],
)
def test_the_index_says_the_batch_of_each_cell(screen, batch, names):
    root, shards = screen
    index = str(root / "index.parquet")
    index_shards(list(shards), str(root), batch, index)
    table = pd.read_parquet(index)
    assert table["batch"].unique().tolist() == names
    assert (table["batch"] == table[batch].agg("/".join, axis=1)).all()


def test_a_cell_in_two_shards_is_refused(screen):
    root, shards = screen
    first, second = [path for path in shards if "perturbed" in path][:2]
    cells = pd.read_parquet(first.replace(".npy", ".parquet"))
    write_shard(shards[first], np.arange(60), cells, CHANNELS, second)
    with pytest.raises(InputError, match="270 crops of 210 cells"):
        index_shards(list(shards), str(root), ["plate", "well"], str(root / "index.parquet"))


def test_shards_of_other_channels_are_refused(screen):
    root, shards = screen
    path = next(iter(shards))
    cells = pd.read_parquet(path.replace(".npy", ".parquet"))
    write_shard(shards[path], np.arange(60), cells, ["a", "c"], path)
    with pytest.raises(InputError, match="channels"):
        index_shards(list(shards), str(root), ["plate", "well"], str(root / "index.parquet"))


def big_screen(n=40_000):
    rng = np.random.default_rng(1)
    gene = rng.choice(["NTC", "G1", "G2", "G3"], n)
    guide = np.array([f"{g}-{k}" for g, k in zip(gene, rng.integers(0, 4, n), strict=True)])
    return {
        "cell_id": np.array([f"P1_A1_0001_{k:05d}" for k in range(n)]),
        "plate": np.full(n, "P1"),
        "well": rng.choice(["A1", "A2"], n),
        "guide": guide,
        "gene": gene,
        "is_ntc": gene == "NTC",
    }


def test_fractions_and_held_out_guides():
    cells = big_screen()
    splits = split_by_names(cells, SPLIT)
    held_out = splits == "held_out_guide"
    assert not held_out[cells["is_ntc"]].any()
    for gene in ("G1", "G2", "G3"):
        of_gene = cells["gene"] == gene
        guides = set(cells["guide"][of_gene & held_out])
        assert len(guides) == 1
        assert (splits[cells["guide"] == guides.pop()] == "held_out_guide").all()
    rest = splits[~held_out]
    for name, fraction in SPLIT["fractions"].items():
        assert (rest == name).mean() == pytest.approx(fraction, abs=0.01)


def test_the_split_depends_on_names_alone():
    cells = big_screen(3000)
    order = np.random.default_rng(2).permutation(3000)
    shuffled = {name: column[order] for name, column in cells.items()}
    splits = split_by_names(cells, SPLIT)
    np.testing.assert_array_equal(split_by_names(shuffled, SPLIT), splits[order])
    other = split_by_names(cells, SPLIT | {"seed": 1})
    assert 0.1 < (other != splits).mean() < 0.6


def test_a_held_out_well_holds_its_controls_too():
    cells = big_screen(3000)
    splits = split_by_names(cells, SPLIT | {"held_out_wells": ["P1/A2"]})
    np.testing.assert_array_equal(splits == "held_out_well", cells["well"] == "A2")


def test_one_guide_of_a_gene_stays():
    guides, genes = np.array(["a1", "b1", "b2", "b1"]), np.array(["A", "B", "B", "B"])
    held_out = choose_held_out_guides(guides, genes, per_gene=3, seed=0)
    assert len(held_out) == 1 and held_out < {"b1", "b2"}


@pytest.mark.parametrize("by", ["tile", "guide", "well"])
def test_what_is_drawn_together_stays_together(by):
    rng = np.random.default_rng(3)
    tables = [cells_of(rng, f"P{k % 9}", f"A{k}", "0", False, 200) for k in range(60)]
    table = pd.concat(tables, ignore_index=True)
    table["guide"] = [f"g{k % 300}" for k in range(len(table))]
    table["is_ntc"] = rng.random(len(table)) < 0.1
    cells = {name: table[name].to_numpy() for name in table}
    settings = SPLIT | {"by": by, "held_out_guides_per_gene": 0}
    splits = pd.Series(split_by_names(cells, settings), name="split")
    perturbed = table[~table["is_ntc"]]
    unit = {"tile": ["plate", "well", "tile"], "guide": ["guide"], "well": ["plate", "well"]}[by]
    assert (splits[perturbed.index].groupby([perturbed[u] for u in unit]).nunique() == 1).all()
    share = splits.value_counts(normalize=True)
    assert abs(share["train"] - 0.8) < 0.12 and set(share.index) == set(SPLIT["fractions"])


def test_splits_are_aligned_and_need_both_arms(index, tmp_path):
    target = str(tmp_path / "splits.parquet")
    assign_splits(index, SPLIT, target)
    splits, cells = pd.read_parquet(target), pd.read_parquet(index)
    assert splits["cell_id"].tolist() == cells["cell_id"].tolist()
    with pytest.raises(InputError, match="a cell for train among 90 NTC cells is missing"):
        assign_splits(index, SPLIT | {"held_out_wells": ["P0/B1", "P1/A1"]}, target)


def test_statistics_are_those_of_training_ntc(screen, index, tmp_path):
    _, shards = screen
    splits, target = str(tmp_path / "splits.parquet"), str(tmp_path / "statistics.parquet")
    assign_splits(index, SPLIT, splits)
    shard_statistics(index, splits, CHANNELS, target)
    found = pd.read_parquet(target)
    assert found[["batch", "channel"]].values.tolist() == [
        ["P0/B1", "a"], ["P0/B1", "b"], ["P1/A1", "a"], ["P1/A1", "b"],
    ]  # fmt: skip
    table = pd.read_parquet(index).assign(split=pd.read_parquet(splits)["split"])
    chosen = table[(table["plate"] == "P1") & table["is_ntc"] & (table["split"] == "train")]
    paths = {path.rpartition("results/s/")[2]: crops for path, crops in shards.items()}
    pixels = np.stack([paths[row.shard][row.row, 1] for row in chosen.itertuples()])
    row = found.iloc[3]
    assert row["n_cells"] == len(chosen)
    assert row["mean"] == pytest.approx(pixels.mean())
    assert row["sd"] == pytest.approx(pixels.std())
    expected = np.percentile(pixels, [1, 50, 99], method="inverted_cdf")
    np.testing.assert_array_equal(row[["p01", "p50", "p99"]].astype(float), expected)
    with pytest.raises(InputError, match="b, a"):
        shard_statistics(index, splits, ["b", "a"], target)


def test_the_room_imports_without_pandas():
    import subprocess
    import sys

    code = (
        "import sys; import mcvae_ops.shards.index, mcvae_ops.shards.split, "
        "mcvae_ops.shards.statistics; print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", "import json; " + code], capture_output=True,
                          check=True)  # fmt: skip
    assert not {"pandas", "sklearn", "yaml", "scipy"} & set(json.loads(done.stdout))
