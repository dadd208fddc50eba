"""The terminal of a run: a line per job, warnings, the time left, and a last box.

A logger plugin of Snakemake. Mistakes, planning (-n) and ``--verbose`` look as Snakemake prints
them; ``.snakemake/log`` holds Snakemake's full output of every run.
"""

import copy
import csv
import logging
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from mcvae_ops.errors import InputError, some_of
from mcvae_ops.workflow.command_line import check_arguments

SILENCE_S = 25.0  # a line says what runs after this time without one
WIDTH = 88
MOST_WARNINGS = 3  # of one job
# What Snakemake says of itself.
CHATTER = (
    "Assuming unrestricted shared filesystem usage",
    "Complete log(s):",
    "Elapsed time:",
    "Select jobs to execute",
    "Using shell:",
    "host:",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Group jobs: inactive",
    "Removing temporary output",
    "Will exit after finishing currently running jobs",
)
OURS = (LogEvent.JOB_INFO, LogEvent.JOB_FINISHED, LogEvent.PROGRESS, LogEvent.RUN_INFO)
UNSEEN = (LogEvent.WORKFLOW_STARTED, LogEvent.RESOURCES_INFO, LogEvent.JOB_STARTED)
SHOWN_BEFORE_VALUE = ("seed", "chunk", "part")  # wildcards whose value alone says nothing
LEFT = re.compile(r": (\d+) / (\d+) [\w ]+, .*, (\d+) s left$")  # mcvae_ops.progress
WARNING = re.compile(r" WARNING (?!py\.warnings)[\w.]+: (.+)$")  # mcvae_ops.workflow.job


def duration(seconds: float) -> str:
    """Return a time in words: "8 s", "3 min 20 s", "2 h 5 min"."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if minutes < 10 else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


@dataclass
class Job:
    """A job that runs.

    Attributes
    ----------
    rule, name
        Its rule; what it is called on the terminal.
    log
        File in which it says how far it is; None if it has none.
    started_s
        When it was started, on the clock of `time.monotonic`.
    left
        (share that is done, seconds left, when that was said), from its log.
    n_warnings
        Warnings that were shown, or counted.
    """

    rule: str
    name: str
    log: Path | None
    started_s: float = field(default_factory=time.monotonic)
    left: tuple[float, float, float] | None = None
    n_warnings: int = 0
    _read: int = 0

    def new_warnings(self) -> Iterator[str]:
        """Read what the log got since the last call: yield warnings, note the progress."""
        try:
            with open(self.log, "rb") as log:
                log.seek(self._read)
                content = log.read()
        except (OSError, TypeError):
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            if warning := WARNING.search(line):
                yield warning[1]
            elif found := LEFT.search(line):
                done, total, left_s = map(float, found.groups())
                self.left = done / max(total, 1), left_s, time.monotonic()

    def seconds_left(self, expected_s: float | None) -> float | None:
        """Return the time that the job needs still; None if nothing tells it."""
        now_s = time.monotonic()
        if self.left is not None:
            return max(self.left[1] - (now_s - self.left[2]), 0.0)
        if expected_s is None:
            return None
        return max(expected_s - (now_s - self.started_s), 0.0)


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def job_name(rule: str, wildcards: dict[str, str]) -> str:
    """Return a plain name: "train model: mcvae, seed 0"."""
    values = [
        f"{key} {value}" if key in SHOWN_BEFORE_VALUE else value
        for key, value in wildcards.items()
        if key != "screen" and value
    ]
    name = rule.replace("_", " ")
    return f"{name}: {', '.join(values)}" if values else name


class Times:
    """Seconds that the jobs of a rule take: of this run, or of earlier ones by their benchmarks."""

    def __init__(self, benchmarks: Path = Path("benchmarks")) -> None:
        self._folder = benchmarks
        self._seen: dict[str, list[float]] = {}
        self._earlier: dict[str, float | None] = {}

    def add(self, rule: str, seconds: float) -> None:
        """Count a job of this run."""
        self._seen.setdefault(rule, []).append(seconds)

    def of(self, rule: str) -> float | None:
        """Return the median time of a rule's jobs; None if no job of it has run."""
        if rule in self._seen:
            return statistics.median(self._seen[rule])
        if rule not in self._earlier:
            self._earlier[rule] = self._benchmarked(rule)
        return self._earlier[rule]

    def _benchmarked(self, rule: str) -> float | None:
        seconds = []
        for pattern in (f"*/{rule}.tsv", f"*/{rule}/**/*.tsv"):
            for path in self._folder.glob(pattern):
                try:
                    with open(path, newline="", encoding="utf-8") as table:
                        seconds += [
                            float(row["s"]) for row in csv.DictReader(table, delimiter="\t")
                        ]
                except (OSError, KeyError, ValueError, TypeError):
                    continue  # torn, or of another program: an estimate does without it
        return statistics.median(seconds) if seconds else None


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Settings of the terminal, on the command line as --logger-mcvae-ops-..."""

    full: bool = field(default=False, metadata={"help": "Show all that Snakemake prints itself."})


class LogHandler(LogHandlerBase):
    """Write the lines of a run to the terminal, or to where stderr goes."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        common = self.common_settings
        self._stream = sys.stdout if common.stdout else sys.stderr
        self._snakemake = ColorizingTextHandler(
            nocolor=common.nocolor,
            stream=self._stream,
            formatter=DefaultFormatter(common.quiet, common.show_failed_logs),
            filter=DefaultFilter(
                common.quiet, common.debug_dag, common.verbose, common.dryrun, common.printshellcmds
            ),
        )
        self._plain = common.dryrun or common.verbose or common.debug_dag or self.settings.full
        self._times = Times()
        self._waiting: Counter[str] = Counter()
        self._running: dict[int, Job] = {}
        self._done = self._total = 0
        self._planning = False
        self._warnings: set[str] = set()
        self._n_shown = 0  # warnings
        self._logs: set[Path] = set()  # of warnings that were not shown
        self._failed: list[str] = []
        self._outputs: set[str] = set()
        self._folder = Path.cwd()  # before --directory
        self._started_s = self._written_s = time.monotonic()
        self._over = threading.Event()
        if not self._plain:
            threading.Thread(target=self._beat, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message of Snakemake."""
        event = getattr(record, "event", None)
        if event == LogEvent.ERROR:
            record = _in_a_sentence(record, self._folder)
        if self._plain:
            self._pass_on(record)
        elif event in OURS:
            if self._snakemake.filter(record):
                getattr(self, f"_{event}")(record)
        elif event == LogEvent.JOB_ERROR:
            self._job_error(record)
        elif str(record.msg).startswith("Building DAG of jobs"):
            self._planning = True
            self._say("Planning the run.")
        elif event not in UNSEEN and not str(record.msg).startswith(CHATTER):
            self._pass_on(record)

    def close(self) -> None:
        """Write the last box."""
        if not self._over.is_set() and self._total and not self._plain:
            self._over.set()
            with self.lock:
                self._box()
        self._over.set()
        super().close()

    def _pass_on(self, record: logging.LogRecord) -> None:
        self._written_s = time.monotonic()
        self._snakemake.handle(record)

    def _say(self, line: str) -> None:
        self._written_s = time.monotonic()
        self._stream.write(f"{line}\n")
        self._stream.flush()

    def _run_info(self, record: logging.LogRecord) -> None:
        self._waiting = Counter(record.stats)
        self._total = self._waiting.pop("total", 0)
        self._planning = False
        self._waiting.pop("all", None)  # takes no time
        self._say(f"{self._total} steps to do.")

    def _job_info(self, record: logging.LogRecord) -> None:
        name = job_name(record.rule_name, record.wildcards)
        log = Path(record.log[0]) if record.log else None
        self._running[record.jobid] = Job(record.rule_name, name, log)
        self._waiting[record.rule_name] -= 1
        self._outputs.update(record.output)

    def _job_finished(self, record: logging.LogRecord) -> None:
        job = self._running.pop(record.job_id, None)
        if job is None:
            return
        took_s = time.monotonic() - job.started_s
        self._times.add(job.rule, took_s)
        self._done += 1
        count = f"[{self._done:>{len(str(self._total))}}/{self._total}]"
        if job.rule != "all":
            self._say(f"{count} {job.name:<{WIDTH - 30}} {duration(took_s):>12}")
        self._say_warnings(job)

    def _progress(self, record: logging.LogRecord) -> None:
        self._done, self._total = record.done, record.total

    def _job_error(self, record: logging.LogRecord) -> None:
        job = self._running.pop(record.jobid, None)
        if job is not None:
            self._failed.append(job.name)
            self._waiting[job.rule] += 1  # another attempt may follow
        self._pass_on(record)

    def _say_warnings(self, job: Job) -> None:
        for warning in job.new_warnings():
            if warning in self._warnings:
                continue
            self._warnings.add(warning)
            job.n_warnings += 1
            if job.n_warnings <= MOST_WARNINGS:
                self._n_shown += 1
                self._say(f"  warning of {job.name}: {warning}")
            elif job.log not in self._logs:
                self._logs.add(job.log)
                self._say(f"  more warnings in {job.log}")

    def _beat(self) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() - self._written_s < SILENCE_S:
                continue
            with self.lock:
                for job in tuple(self._running.values()):
                    self._say_warnings(job)
                if self._running:
                    self._say(self._state())
                elif self._planning:
                    spent = duration(time.monotonic() - self._started_s)
                    self._say(f"  still planning, since {spent}")

    def _state(self) -> str:
        jobs = []
        for job in self._running.values():
            share = f" {job.left[0]:.0%}" if job.left else ""
            jobs.append(f"{job.name}{share}")
        done = f"{self._done} of {self._total} done, {self._time_left()}"
        return f"  {done}. Running: {some_of(jobs, 3, '; ')}"

    def _time_left(self) -> str:
        """Return the time left in words: work of known jobs, shared among as many as run now."""
        known_s, n_unknown = 0.0, 0
        for job in self._running.values():
            left_s = job.seconds_left(self._times.of(job.rule))
            known_s += left_s or 0.0
            n_unknown += left_s is None
        for rule, n_jobs in self._waiting.items():
            expected_s = self._times.of(rule) if n_jobs > 0 else 0.0
            known_s += (expected_s or 0.0) * max(n_jobs, 0)
            n_unknown += n_jobs if expected_s is None else 0
        known = duration(known_s / len(self._running))
        if not n_unknown:
            return f"about {known} left"
        steps = f"{n_unknown} step{'s' * (n_unknown > 1)} of unknown length left"
        return f"{known} and {steps}" if known_s else steps

    def _where_warnings(self) -> str:
        if not self._logs:
            return "shown above"
        logs = ", ".join(map(str, sorted(self._logs)[:MOST_WARNINGS]))
        more = " ..." if len(self._logs) > MOST_WARNINGS else ""
        return f"{self._n_shown} shown above, the others in {logs}{more}"

    def _box(self) -> None:
        took = duration(time.monotonic() - self._started_s)
        lines = [f"{self._done} of {self._total} steps done in {took}"]
        if self._failed:
            lines.append(f"failed: {', '.join(dict.fromkeys(self._failed))}")
        if self._warnings:
            lines.append(f"warnings: {len(self._warnings)}, {self._where_warnings()}")
        if self._done == self._total:
            lines += _where_to_look(self._outputs)
        else:
            lines.append("the same command goes on from here; the reasons stand above")
        self._say("-" * WIDTH)
        for line in lines:
            self._say(f"  {line}")
        self._say("-" * WIDTH)


def _in_a_sentence(record: logging.LogRecord, folder: Path) -> logging.LogRecord:
    """Return what an error says to a user, without the lines of the program where it arose."""
    try:
        check_arguments(sys.argv[1:], folder)
    except InputError as mistake:
        sentence = str(mistake)
    else:
        if record.exception != "Mistake":
            return record
        lines = record.msg.splitlines()[1:]
        sentence = "\n".join(line for line in lines if not line.startswith('  File "'))
    said = copy.copy(record)  # the file in .snakemake/log has all of it
    said.msg = sentence
    return said


def _where_to_look(outputs: set[str]) -> list[str]:
    """Return the files that a person opens, of those that a run made, with the number of hits."""
    lines = []
    paths = [Path(output) for output in sorted(outputs)]
    for path in paths:
        if path.name == "hits.tsv":
            rows = _rows(path)
            n_hits = sum(row.get("is_hit") == "True" for row in rows)
            lines.append(f"hits:     {n_hits} of {len(rows)}, {path}")
        elif path.name in ("report.html", "explorer.html", "claims.tsv"):
            lines.append(f"{path.stem + ':':<9} {path}")
    figures = [path for path in paths if path.parent.name == "figures" and path.suffix == ".pdf"]
    if len(figures) == 1:
        lines.append(f"figure:   {figures[0]}, and .png, .svg, .csv beside it")
    elif figures:
        lines.append(f"figures:  {len(figures)}, in {figures[0].parent}")
    return lines
