"""An option that takes one value is refused when it is given several; lists stay lists, and flags may be repeated."""

from __future__ import annotations

import inspect
from typing import Literal, get_args, get_origin

import pytest
import typer.main
from typer.testing import CliRunner

from moodbench.cli import app


def call(*args):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False)


def commands(group=None, path=()):
    """Yield every command with the words that call it."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def options(command):
    return [p for p in command.params if p.param_type_name == "option"]


def spelling(option):
    return max(option.opts, key=len)


def values(command, option):
    """Return two values that an option takes."""
    kind = inspect.signature(command.callback).parameters[option.name].annotation.__origin__
    kinds = [kind, *get_args(kind)]
    words = [word for each in kinds if get_origin(each) is Literal for word in get_args(each)]
    if words:
        return words[:2]
    return ["1", "2"] if {int, float} & set(kinds) else ["A", "B"]


def required(command, but):
    """Return what a command cannot do without, except one option."""
    line = []
    for parameter in command.params:
        if parameter.required and parameter is not but:
            named = parameter.param_type_name == "option"
            line += [spelling(parameter), values(command, parameter)[0]] if named else ["X"]
    return line


PATHS = {" ".join(path): (path, command) for path, command in commands()}
SINGLE = [
    (name, spelling(option))
    for name, (_, command) in PATHS.items()
    for option in options(command)
    if not (option.multiple or option.is_flag)
]
CONTRARY = [
    (name, spelling(option))
    for name, (_, command) in PATHS.items()
    for option in options(command)
    if option.is_flag and option.secondary_opts
]


def of(name, wanted):
    path, command = PATHS[name]
    return path, command, next(option for option in options(command) if spelling(option) == wanted)


@pytest.mark.parametrize(("name", "wanted"), SINGLE, ids=lambda part: part)
def test_a_single_value_is_not_given_twice(tmp_path, monkeypatch, name, wanted):
    monkeypatch.chdir(tmp_path)
    path, command, option = of(name, wanted)
    first, second = values(command, option)
    for other in (second, first):
        result = call(*path, *required(command, option), wanted, first, f"{wanted}={other}")
        assert result.exit_code == 2
        assert result.stderr == (
            f"error: {wanted} takes one value, and was given '{first}' and '{other}'\n  fix:  give {wanted} once\n"
        )
        assert result.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "wanted"), CONTRARY, ids=lambda part: part)
def test_a_flag_and_its_contrary_are_refused(tmp_path, monkeypatch, name, wanted):
    monkeypatch.chdir(tmp_path)
    path, command, option = of(name, wanted)
    contrary = max(option.secondary_opts, key=len)
    result = call(*path, *required(command, option), wanted, contrary)
    assert result.exit_code == 2
    assert f"{wanted} and {contrary} contradict each other" in result.stderr


def test_there_are_commands_and_options_to_test():
    assert {"cache remove", "list models"} < set(PATHS)
    assert ("results show", "--benchmark") in SINGLE
    assert ("extract", "--head") in CONTRARY


def test_the_same_flag_twice_harms_nobody(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    once, twice = call("list", "scores", "--json", "-q"), call("list", "scores", "--json", "--quiet", "-q", "--json")
    assert twice.exit_code == 0
    assert twice.stdout == once.stdout


def test_three_values_are_all_named():
    result = call("plot", "--group", "near", "--group", "far", "--group", "all")
    assert "--group takes one value, and was given 'near', 'far' and 'all'" in result.stderr


def test_lists_stay_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call("cache", "list", "--model", "A", "--model", "B")
    assert "there is no cached model 'A'" in result.stderr


def test_help_is_shown_whatever_stands_beside_it():
    result = call("plot", "--group", "near", "--group", "far", "--help")
    assert result.exit_code == 0
    assert "Draw a picture" in result.stdout


def test_an_option_may_be_given_beside_its_environment_variable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOODBENCH_CACHE_DIR", "elsewhere")
    result = call("cache", "list", "--cache-dir", "here")
    assert result.exit_code == 0
    assert "no caches below 'here'" in result.stderr
