"""What is wrong with the command line ends in one sentence; sections after --config are YAML."""

import pytest

from mcvae_ops.errors import InputError
from mcvae_ops.workflow.command_line import asked_targets, check_arguments, read_sections

FILES = {
    "config/funk2022.yaml": "source: archive",
    "torn.yaml": "screen: [1\nname: a\n",
    "list.yaml": "- a\n",
    "good.yaml": "training: {epochs: 3}",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    elsewhere = tmp_path / "elsewhere"  # as with --directory
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--configfile", "good.yaml", "nope.yaml"],
            "--configfile nope.yaml: the file is missing; it was looked for at {here}/nope.yaml; "
            "correct the path.",
        ),
        (
            ["--configfile", "funk2202.yaml"],
            "--configfile funk2202.yaml: the file is missing; it was looked for at "
            "{here}/funk2202.yaml; write config/funk2022.yaml instead.",
        ),
        (
            ["--configfile", "torn.yaml"],
            "--configfile torn.yaml, line 2: found what is no YAML (did not find expected ',' or "
            "']'), expected keys with their values, as in config/config.yaml; correct this line "
            "or the one above it (spaces indent a line, and no tabs).",
        ),
        (
            ["--configfile", "config"],
            "--configfile config: found what cannot be read ([Errno 21] Is a directory: "
            "'{here}/config'), expected a text file; name another file.",
        ),
        (
            ["--configfile", "list.yaml"],
            "--configfile list.yaml: found no key at the start of a line, expected keys with their "
            "values, as in config/config.yaml; correct the file.",
        ),
        (
            ["--config", "training.epochs=3"],
            "--config training.epochs=3: found a key with dots, expected the first key alone; "
            "write --config training='{{epochs: 3}}'.",
        ),
        (
            ["--config", "models.mcvae.beta=2"],
            "--config models.mcvae.beta=2: found a key with dots, expected the first key alone; "
            "write --config models='{{mcvae: {{beta: 2}}}}'.",
        ),
        (
            ["--config", "commercial_use=true", "fig1"],
            "--config fig1: found no =, expected KEY=VALUE; add the value; a target stands before "
            "--config.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, here):
    with pytest.raises(InputError) as caught:
        check_arguments(["--cores", "1", *arguments], here)
    assert str(caught.value) == sentence.format(here=here)


def test_a_command_line_without_a_mistake(here):
    given = ["fig1", "-n", "--configfile", "good.yaml", "--config", "commercial_use=true"]
    check_arguments(given, here)


def test_sections_on_the_command_line_are_laid_over_as_yaml():
    config = {"training": {"epochs": "3", "batch": 7}, "exports": {"ngff": "0.4"}, "use": "true"}
    entries = ["training={epochs: 3}", 'exports={ngff: "0.4"}', "use=true", "look=a: [b"]
    read_sections(config, entries)
    assert config == {
        "training": {"epochs": 3, "batch": 7}, "exports": {"ngff": "0.4"}, "use": True,
    }  # fmt: skip
    read_sections(config, None)


@pytest.mark.parametrize(
    ("arguments", "targets"),
    [
        (["--cores", "1", "fig2a", "hits", "-n"], ["fig2a", "hits"]),
        (["fig2a", "--logger-mcvae-ops-full", "--configfile", "figures.yaml"], ["fig2a"]),
        (["--config", "look=figures"], []),
    ],
)
def test_the_targets_of_a_command_line(arguments, targets):
    assert asked_targets(arguments) == targets
