"""Requested against used."""

import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.report.resource_use import compare_requests, read_jobs

HEADER = "s\tmax_rss\trule_name\tresources\n"


def write(path, *jobs):
    path.parent.mkdir(parents=True, exist_ok=True)
    row = "{}\t{}\t{}\t{{'mem_mb': {}, 'runtime': 60}}\n"
    lines = [row.format(*job) for job in jobs]
    path.write_text(HEADER + "".join(lines))


def test_the_largest_job_of_a_rule_is_held_against_its_request(tmp_path):
    write(tmp_path / "crop/a.tsv", (60, 300, "crop", 8000))
    write(tmp_path / "crop/b.tsv", (90, 700, "crop", 8000))
    write(tmp_path / "train.tsv", (600, 1900, "train", 4000))
    write(tmp_path / "index.tsv", (1, "-", "index", 1000))
    rows = compare_requests(read_jobs(str(tmp_path))).set_index("rule").to_dict("index")
    assert rows["crop"] == {
        "jobs": 2,
        "requested_mb": 8000,
        "used_mb": 1200,
        "requested_min": 60,
        "used_min": 1.5,
        "advice": "2500 MB would be enough",
    }
    assert rows["train"]["advice"] == "ask for 5000 MB"
    assert "index" not in rows


def test_files_without_resources_are_named(tmp_path):
    (tmp_path / "a.tsv").write_text("s\tmax_rss\n1\t2\n")
    with pytest.raises(InputError, match="benchmark-extended"):
        read_jobs(str(tmp_path))
