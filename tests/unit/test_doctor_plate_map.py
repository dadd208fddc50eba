"""The plate map that the doctor writes for people to fill in."""

from types import SimpleNamespace

from mcvae_ops.doctor.examine import _write_plate_map
from mcvae_ops.doctor.finding import Finding


def test_no_cell_of_it_is_a_formula(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finding = Finding("labels", {"table": "./config/a_plate_map.csv"}, "nothing says the genes")
    images = SimpleNamespace(wells={"P1": ["A1", "A2"], "=1+1": ["A1"]})
    _write_plate_map([finding], images, "config/a_plate_map.csv")
    lines = (tmp_path / "config/a_plate_map.csv").read_text().splitlines()
    assert lines == ["plate,well,gene", "P1,A1,", "P1,A2,", "'=1+1,A1,"]
