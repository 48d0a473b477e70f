"""Help, examples and the version."""

from __future__ import annotations

import re

import pytest

from tests.commands import call

COMMANDS = [
    ["demo"],
    ["run"],
    ["list", "models"],
    ["list", "datasets"],
    ["list", "benchmarks"],
    ["list", "scores"],
    ["show", "model"],
    ["show", "dataset"],
    ["show", "benchmark"],
    ["show", "score"],
    ["download"],
    ["verify"],
    ["extract"],
    ["import"],
    ["import-scores"],
    ["cache", "list"],
    ["cache", "verify"],
    ["cache", "remove"],
    ["probe"],
    ["score"],
    ["table"],
    ["rank"],
    ["compare"],
    ["detect"],
    ["plot"],
]


@pytest.mark.parametrize("group", [[], ["list"], ["show"], ["cache"]], ids=" ".join)
def test_a_group_without_a_command_shows_its_help(home, group):
    result = call(*group)
    assert result.exit_code in (0, 2)
    assert "Commands:" in result.output
    assert "error" not in result.stderr


@pytest.mark.parametrize("command", [[], ["list"], ["show"], ["cache"], *COMMANDS], ids=" ".join)
def test_every_command_has_help(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert len(result.stdout) > 200


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_ends_its_text_with_an_example_that_parses(home, command):
    """The example is run; a wrong option would exit with 2 and usage."""
    text = " ".join(call(*command, "--help").stdout.split())
    example = re.search(r"Example: moodbench (.*?) (?:Arguments|Options):", text)
    assert example, text
    args = example[1].split()
    assert args[: len(command)] == command
    assert call(*args, "--help").exit_code == 0
    for option in re.findall(r"--[a-z-]+", example[1]):
        assert option in text


def test_commands_are_listed_in_the_order_of_use():
    text = call("--help").stdout.split("Commands:")[1]
    names = re.findall(r"^  (\w+) ", text, flags=re.MULTILINE)
    assert names == [
        "demo",
        "run",
        "list",
        "show",
        "download",
        "verify",
        "extract",
        "import",
        "cache",
        "probe",
        "head",
        "score",
        "table",
        "rank",
        "compare",
        "detect",
        "plot",
        "report",
        "results",
        "doctor",
    ]


def test_version():
    assert re.fullmatch(r"moodbench \d+\.\d+\.\d+\S*\n", call("--version").stdout)
