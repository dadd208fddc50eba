# make demo   the simulated screen, from archive to report
# make screens  other screens: compounds and five stains; one file per tile; 8 bits
# make evaluate  compares models on three further screens, on which no model was developed
# make leaderboard  fifteen representations on these screens, side by side (results/leaderboard.html)
# make digits   digits over textures: does the background hold what perturbations do?
# make check  does the demo find again what was planted in its screen? (after make demo)
# make test   the tests of units and of the workflow's plans
# make test-runs  the tests that run whole screens and trainings: killed, damaged, on hostile servers
# make test-slurm  the tests on a real SLURM (Debian: slurm-wlm, munge, slurmdbd, mariadb-server)
# make lanes  what needs no torch, under other Pythons with the newest pandas and NumPy (LANES: python3.12 python3.13)
# make calibration  do p values and intervals mean what they say? (simulated truth; 39 minutes of processor)
# make lint   ruff, snakefmt, snakemake --lint
# make rehearsal  every rule on tables of the paper's screen: memory and time (SIZE: fractions of its cells)
# make bench  measurements (tests/performance)
# make bench-gpu  training on a GPU (any machine with torch, numpy, pyarrow, pytest)
# make docs   config/README.md from the schema and the defaults
# make help   this list
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
BIN := .venv/bin
SNAKEMAKE := $(BIN)/snakemake
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo screens digits evaluate leaderboard check calibration test test-runs test-slurm lanes lint rehearsal bench bench-gpu docs

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "snakemake        (alone) which results one can ask for by name"

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

# The kernel gives the lock back when the last process of a killed run is gone, so a run that
# waits for it may clear Snakemake's own lock.
define RUN
mkdir -p results
flock results/.lock bash -c '$(SNAKEMAKE) $(1) --unlock --quiet all && $(SNAKEMAKE) $(1) --cores all'
endef

demo: .venv/installed
	$(call RUN)
	@echo "Report: results/simulated/report.html   Figures: results/simulated/figures/"

screens: .venv/installed
	$(call RUN,--configfile config/compounds.yaml)
	$(BIN)/pytest tests/screens
	@echo "Report: results/compounds/report.html   Figures: results/compounds/figures/"

digits: .venv/installed
	$(BIN)/python -m mcvae_ops.simulate.digits results/digits_archive
	$(call RUN,results/digits/benchmarks/cell_neighbours.parquet --configfile config/digits.yaml)
	@echo "Table: results/digits/benchmarks/cell_neighbours.parquet"

EVALUATION := config/config.yaml config/dcvae.yaml config/evaluation/evaluation.yaml

evaluate: .venv/installed
	$(call RUN,results/evaluation_a/measures.parquet --configfile $(EVALUATION) config/evaluation/a.yaml)
	$(call RUN,results/evaluation_b/measures.parquet --configfile $(EVALUATION) config/evaluation/b.yaml)
	$(call RUN,results/evaluation_c/measures.parquet --configfile $(EVALUATION) config/evaluation/c.yaml)
	$(call RUN,results/evaluation/model_comparison.md --configfile $(EVALUATION))
	@echo "Comparison of models: results/evaluation/model_comparison.md"

REPRESENTATIONS := $(EVALUATION) config/evaluation/representations.yaml

leaderboard: .venv/installed
	$(call RUN,results/evaluation_a/card.json --configfile $(REPRESENTATIONS) config/evaluation/a.yaml)
	$(call RUN,results/evaluation_b/card.json --configfile $(REPRESENTATIONS) config/evaluation/b.yaml)
	$(call RUN,results/evaluation_c/card.json leaderboard --configfile $(REPRESENTATIONS) config/evaluation/c.yaml)
	@echo "Leaderboard: results/leaderboard.html"

# The picture of README.md, from a demo on this machine.
resources/example.png: results/simulated/figures/fig2a.png
	cp $< $@

check: .venv/installed
	$(BIN)/pytest tests/demo

calibration: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.calibration results/calibration.tsv

# In the order of the command line, not the files of fewest tests last: those hold the longest tests.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=2 --dist=loadgroup --no-loadscope-reorder --durations=10

test: .venv/installed
	$(PYTEST) tests/workflow tests/unit

test-runs: .venv/installed
	$(PYTEST) tests/integration --ignore=tests/integration/test_slurm.py

test-slurm: .venv/installed
	$(BIN)/pytest tests/integration/test_slurm.py

LANES ?= python3.12 python3.13
lanes:
	for python in $(LANES); do OMP_NUM_THREADS=1 $$python -m tests.lane $$python .lanes/$$python; done

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(SNAKEMAKE) --lint

# The whole screen (SIZE=1) takes 35 GB of disk. RULES names some rules alone; WELLS=2 is two wells, with features;
# EMBEDDINGS=1 judges a table of embeddings.
SIZE ?= 0.02 0.1
rehearsal: .venv/installed
	$(BIN)/python -m tests.performance.rehearsal results/rehearsal --sizes $(SIZE) $(if $(RULES),--rules $(RULES)) \
		$(if $(WELLS),--wells $(WELLS)) $(if $(PERMUTATIONS),--permutations $(PERMUTATIONS)) $(if $(EMBEDDINGS),--embeddings)

bench: .venv/installed
	$(BIN)/pytest tests/performance --override-ini=addopts= -s -m "not gpu"

bench-gpu: .venv/installed
	$(BIN)/pytest tests/performance/test_training_gpu.py --override-ini=addopts= -s -m gpu

docs: .venv/installed
	$(BIN)/python -m mcvae_ops.workflow.reference workflow/schemas/config.schema.yaml > config/README.md
