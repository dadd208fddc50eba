"""What one can ask for is said by `snakemake` alone and by `make help`."""

import re
import subprocess
import sys

import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.targets import check_names, targets_text
from tests.conftest import ROOT
from tests.helpers.runs import environment


def said(*command: str) -> str:
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment(), check=True
    )
    return done.stdout


def test_snakemake_alone_lists_targets_with_what_they_do():
    text = said(sys.executable, "-m", "snakemake")
    assert "snakemake --cores 2 " in text
    for name, words in (("all", "The report, and"), ("plan", "Say what the run will cost")):
        assert re.search(rf"^  {name} +{words}", text, re.MULTILINE), name
    assert re.search(r"^  PANEL +One figure: fig1, fig2a, .*figqc1", text, re.MULTILINE)
    assert re.search(r"^  hits +Which genes and guides change the cells", text, re.MULTILINE)
    for path in ("report.html", "figures/{panel}.pdf", "embeddings/{model}/{seed}.parquet"):
        assert f"  results/simulated/{path}\n" in text


def test_targets_are_shown_without_what_wildcards_may_be():
    rules = [
        ("all", "Everything.", []),
        ("fig1", "", []),
        ("hits", "Hits.", ["results/mine/hits.tsv"]),
        ("embed", "Embed.", [r"results/{screen,a}/{model,a|b}/{seed,\d+}.parquet", "second"]),
    ]
    text = targets_text(rules, "mine", ["fig1"])
    assert "  all    Everything." in text
    assert "  results/mine/{model}/{seed}.parquet\n      Embed." in text
    assert "second" not in text
    assert "  hits   Hits." in text and "  results/mine/hits.tsv\n      Hits." in text
    assert "  PANEL  One figure: fig1\n" in text and "  fig1 " not in text


@pytest.mark.parametrize(
    ("target", "fix"),
    [
        ("hit", "write hits instead"),
        ("reports", "write report instead"),
        ("xyz", "correct the name"),
    ],
)
def test_a_name_that_is_nearly_one_is_answered_with_it(target, fix):
    rules = [
        ("hits", "", ["results/mine/hits.tsv"]),
        ("report", "", []),
        ("embed", "", ["{a}.tsv"]),
    ]
    with pytest.raises(InputError) as caught:
        check_names(["report", "results/mine/hit.tsv", target], rules)
    assert str(caught.value) == (
        f"{target}: found no target of this name, expected one that `snakemake` without arguments "
        f"lists; {fix}."
    )
    check_names(["hits", "embed", "results/other/x.tsv"], rules)


def test_make_help_lists_every_target():
    text = said("make", "help")
    names = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    for name in names.split():
        assert re.search(rf"^make {name} ", text, re.MULTILINE), name
    assert "snakemake" in text
