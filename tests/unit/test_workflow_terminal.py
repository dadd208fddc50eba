"""The terminal of a run: what is said of jobs, their warnings, the time left, and the end."""

import logging
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from mcvae_ops.workflow import terminal
from mcvae_ops.workflow.terminal import Job, LogHandler, LogHandlerSettings, Times


def handler(full=False, **changed):
    common = {
        "printshellcmds": False, "nocolor": True, "quiet": None, "debug_dag": False,
        "verbose": False, "show_failed_logs": True, "stdout": False, "dryrun": False,
    }  # fmt: skip
    return LogHandler(SimpleNamespace(**common | changed), LogHandlerSettings(full=full))


def say(made, event=None, message="", level=logging.INFO, **fields):
    record = logging.LogRecord("snakemake", level, "", 0, message, None, None)
    vars(record).update(fields, **({"event": event} if event else {}))
    made.handle(record)


def start(made, jobid, rule, log=(), output=("x",), **wildcards):
    fields = {
        "jobid": jobid, "rule_name": rule, "wildcards": wildcards, "log": list(log),
        "output": list(output),
    }  # fmt: skip
    say(made, LogEvent.JOB_INFO, **fields)


def finish(made, jobid):
    say(made, LogEvent.JOB_FINISHED, job_id=jobid)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (1500, "25 min"),
     (7500, "2 h 5 min")],
)  # fmt: skip
def test_a_time_in_words(seconds, words):
    assert terminal.duration(seconds) == words


@pytest.mark.parametrize(
    ("rule", "wildcards", "name"),
    [
        (
            "train_model",
            {"screen": "a", "model": "mcvae", "seed": "0"},
            "train model: mcvae, seed 0",
        ),
        (
            "crop_chunk",
            {"plate": "P1", "well": "A1", "chunk": "003"},
            "crop chunk: P1, A1, chunk 003",
        ),
        ("claims", {"screen": "a"}, "claims"),
    ],
)
def test_a_job_has_a_plain_name(rule, wildcards, name):
    assert terminal.job_name(rule, wildcards) == name


def test_a_line_per_job_its_warnings_and_a_box(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "train.log"
    log.write_text(
        "2026-01-01 10:00:00,000 INFO mcvae_ops.training: 3 epochs\n"
        "2026-01-01 10:00:01,000 WARNING mcvae_ops.training: s saves fewer nats than it costs.\n"
        "2026-01-01 10:00:01,000 WARNING py.warnings: x.py:3: FutureWarning: of a library\n"
        "2026-01-01 10:00:02,000 WARNING mcvae_ops.training: s saves fewer nats than it costs.\n"
    )
    hits = tmp_path / "results/a/hits.tsv"
    hits.parent.mkdir(parents=True)
    hits.write_text("gene\tis_hit\nA\tTrue\nB\tFalse\nC\tTrue\n")
    made = handler()
    say(made, message="Building DAG of jobs...")
    say(
        made,
        message="Left out of this run: figqc3.",
        level=logging.WARNING,
    )
    say(made, LogEvent.RUN_INFO, stats={"train_model": 1, "hits": 1, "all": 1, "total": 3})
    start(made, 5, "train_model", [log], screen="a", model="mcvae", seed="0")
    finish(made, 5)
    start(made, 6, "hits", output=["results/a/hits.tsv", "results/a/hits.parquet"], screen="a")
    finish(made, 6)
    say(made, LogEvent.PROGRESS, done=3, total=3)
    for _ in range(2):  # Snakemake closes it, and so does Python at its end
        made.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:3] == ["Planning the run.", "Left out of this run: figqc3.", "3 steps to do."]
    del lines[0]
    assert lines[2].startswith("[1/3] train model: mcvae, seed 0 ")
    assert lines[2].endswith(" 0 s")
    assert lines[3] == "  warning of train model: mcvae, seed 0: s saves fewer nats than it costs."
    assert lines[4].startswith("[2/3] hits ")
    assert [line.strip() for line in lines[6:9]] == [
        "3 of 3 steps done in 0 s",
        "warnings: 1, shown above",
        "hits:     2 of 3, results/a/hits.tsv",
    ]
    assert len(lines) == 10


def test_a_failed_run_says_what_failed_and_how_to_go_on(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = handler()
    say(made, LogEvent.RUN_INFO, stats={"crop_chunk": 2, "total": 2})
    start(made, 1, "crop_chunk", plate="P1", well="A1", chunk="000")
    fields = dict.fromkeys(["msg", "input", "output", "log", "conda_env", "shellcmd"])
    say(made, LogEvent.JOB_ERROR, level=logging.ERROR, jobid=1, rule_name="crop_chunk",
        rule_msg=None, aux={}, **fields)  # fmt: skip
    made.close()
    said = capsys.readouterr().err
    assert "Error in rule crop_chunk" in said
    assert "0 of 2 steps done" in said
    assert "failed: crop chunk: P1, A1, chunk 000" in said
    assert "the same command goes on from here" in said


@pytest.mark.parametrize("changed", [{"dryrun": True}, {"verbose": True}, {"full": True}])
def test_plans_and_full_output_are_snakemakes_own(capsys, changed):
    made = handler(**changed)
    say(made, LogEvent.RUN_INFO, message="Job stats:\njob count", stats={"all": 1, "total": 1})
    made.close()
    assert capsys.readouterr().err.strip() == "Job stats:\njob count"


def test_silence_is_broken_with_what_runs_and_the_time_left(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "SILENCE_S", 1.0)
    earlier = tmp_path / "benchmarks/a/embed_cells/mcvae/0.tsv"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("s\th:m:s\n60.0\t0:01:00\n")
    log = tmp_path / "train.log"
    log.write_text("t INFO mcvae_ops.progress: train: 30 / 120 steps, 3 steps/s, 90 s left\n")
    made = handler()
    say(made, LogEvent.RUN_INFO, stats={"train_model": 1, "embed_cells": 2, "hits": 1, "total": 4})
    start(made, 5, "train_model", [log], model="mcvae", seed="0")
    time.sleep(2.5)
    made.close()
    said = capsys.readouterr().err.splitlines()[1]
    found = said.replace("29 s", "28 s").replace("27 s", "28 s").replace("min 30 s", "min 28 s")
    assert found == (
        "  0 of 4 done, 3 min 28 s and 1 step of unknown length left. "
        "Running: train model: mcvae, seed 0 25%"
    )  # 90 s of the training, and 60 s of each of two embeddings


def test_a_flood_of_warnings_is_cut(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = tmp_path / "crop.log"
    log.write_text("".join(f"t WARNING mcvae_ops.x: tile {k} failed\n" for k in range(50)))
    made = handler()
    say(made, LogEvent.RUN_INFO, stats={"crop_chunk": 1, "total": 1})
    start(made, 1, "crop_chunk", [log])
    finish(made, 1)
    made.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[4] == "  warning of crop chunk: tile 2 failed"
    assert lines[5] == f"  more warnings in {log}"
    assert lines[8].strip() == f"warnings: 50, 3 shown above, the others in {log}"


@pytest.mark.parametrize(
    ("panels", "line"),
    [
        (["fig2a"], "figure:   results/a/figures/fig2a.pdf, and .png, .svg, .csv beside it"),
        (["fig2a", "fig4e"], "figures:  2, in results/a/figures"),
    ],
)
def test_the_box_says_where_the_figures_are(panels, line, capsys):
    made = handler()
    say(made, LogEvent.RUN_INFO, stats={"draw_figure": len(panels), "total": len(panels)})
    for k, panel in enumerate(panels):
        files = [f"results/a/figures/{panel}.{kind}" for kind in ("pdf", "svg", "png", "csv")]
        start(made, k, "draw_figure", output=files, panel=panel)
        finish(made, k)
    made.close()
    assert capsys.readouterr().err.splitlines()[-2].strip() == line


def test_a_long_planning_is_no_silence(capsys, monkeypatch):
    monkeypatch.setattr(terminal, "SILENCE_S", 1.0)
    made = handler()
    say(made, message="Building DAG of jobs...")
    time.sleep(2.5)
    made.close()
    assert re.match(r"  still planning, since \d s", capsys.readouterr().err.splitlines()[1])


def test_a_torn_line_of_a_log_waits_for_its_end(tmp_path):
    log = tmp_path / "job.log"
    job = Job("a", "a", log)
    assert list(job.new_warnings()) == []
    log.write_text("t WARNING mcvae_ops.x: half of")
    assert list(job.new_warnings()) == []
    with log.open("a") as file:
        file.write(" it\n")
    assert list(job.new_warnings()) == ["half of it"]
    assert list(job.new_warnings()) == []


@pytest.mark.parametrize("content", ["", "s\th\n", "other\n1\n", "s\nabc\n", "\x00\xff"])
def test_a_damaged_benchmark_is_no_time(tmp_path, content):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/hits.tsv").write_text(content)
    assert Times(tmp_path).of("hits") is None


def test_snakemake_finds_the_terminal_by_its_name():
    said = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "--logger-mcvae-ops-full" in said


def test_a_configuration_file_that_is_not_there_is_one_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["snakemake", "--cores", "1", "--configfile", "nope.yaml"])
    raw = "Traceback (most recent call last):\n...\nFileNotFoundError: 'nope.yaml'"
    for changed in ({}, {"dryrun": True}):
        say(handler(**changed), LogEvent.ERROR, raw, logging.ERROR, exception="FileNotFoundError")
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("--configfile nope.yaml: the file is missing; it was looked for at")


@pytest.mark.parametrize(("exception", "n_lines"), [("Mistake", 1), ("WorkflowError", 4)])
def test_a_mistake_is_its_sentence_alone(exception, n_lines, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["snakemake", "fig2d"])
    message = (
        f'{exception} in file "/a/Snakefile", line 54:\nfig2d: found no panel of the name fig2d.\n'
        '  File "/a/Snakefile", line 54, in <module>\n  File "/a/b.py", line 3, in check'
    )
    say(handler(), LogEvent.ERROR, message, logging.ERROR, exception=exception)
    lines = capsys.readouterr().err.splitlines()
    assert "fig2d: found no panel of the name fig2d." in lines and len(lines) == n_lines
