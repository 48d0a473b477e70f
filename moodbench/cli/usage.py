"""What typer finds wrong with a command line, said as every other error is: what, where, how to mend it."""

from __future__ import annotations

import ast
import copy
import difflib
import re
from typing import Any

import typer
from typer.core import TyperCommand

from moodbench.choices import wrong_choice
from moodbench.errors import UsageError

WrongUsage: type[Exception] = typer.BadParameter.__mro__[1]
"""The base of what typer raises about a command line. Of click, or of typer's own copy of it: that depends on the
version of typer."""

_WRONG_CHOICE = re.compile(r"(?P<value>'.*'|\".*\") is not one of (?P<allowed>'.*')\.", re.DOTALL)

_NUMBERS = {"a valid int": "a whole number", "a valid float": "a number", "a valid number": "a number"}
"""What a message says of text that is not a number, whichever version wrote it → what is wanted."""


class Command(TyperCommand):
    """A command that refuses an option which takes one value and is given several, instead of using the last."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the line; then, where it is in order, look for what was given more than once."""
        line = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:  # a line that is still being typed
            self._check_given_once(ctx, line)
        return rest

    def _check_given_once(self, ctx: Any, line: list[str]) -> None:
        every = copy.copy(self)
        every.params = [_keeping_all(parameter) for parameter in self.params]
        given, _, _ = every.make_parser(ctx).parse_args(args=line)
        parameters: list[Any] = self.params  # those of click and of typer itself differ
        for parameter in parameters:
            values = given.get(parameter.name)
            if parameter.param_type_name != "option" or parameter.multiple or values is None or len(values) < 2:
                continue
            if not parameter.is_flag:
                option, shown = _name(parameter), _and([f"'{value}'" for value in values])
                raise UsageError(f"{option} takes one value, and was given {shown}", fix=f"give {option} once")
            if len(set(values)) > 1:  # the same flag twice harms nobody
                both = _and([_longest(parameter.opts), _longest(parameter.secondary_opts)])
                raise UsageError(f"{both} contradict each other", fix="give one of them")


def _keeping_all(parameter: Any) -> Any:
    """Return a parameter that collects every value it is given."""
    kept = copy.copy(parameter)
    if kept.param_type_name == "option" and not kept.count:
        kept.multiple = True
    return kept


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def in_our_words(error: Any) -> UsageError | None:
    """Return the message for a `WrongUsage`; None where it is no error (a group without a command shows its help)."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    command = "moodbench COMMAND" if error.ctx is None else error.ctx.command_path
    fix = f"{command} --help shows what can be given"
    if hasattr(error, "possibilities") and hasattr(error, "option_name"):
        near = difflib.get_close_matches(error.option_name, error.possibilities or (), n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        return UsageError(f"there is no option '{error.option_name}'.{hint}", fix=fix)
    parameter = getattr(error, "param", None)
    if parameter is None:
        return UsageError(_as_clause(error.message), fix=fix)
    name = _name(parameter)
    if type(error).__name__ == "MissingParameter":
        return UsageError(f"{name} is missing", fix=fix)
    wrong = _WRONG_CHOICE.search(error.message)
    if wrong is not None:
        return wrong_choice(name, ast.literal_eval(wrong["value"]), tuple(re.findall(r"'([^']*)'", wrong["allowed"])))
    for kind, wanted in _NUMBERS.items():
        if kind in error.message:
            return UsageError(f"{name} takes {wanted}", fix=fix)
    return UsageError(f"{name}: {_as_clause(error.message)}", fix=fix)


def _name(parameter: Any) -> str:
    """Return the option in its long form, or the argument as the help writes it."""
    if parameter.param_type_name == "option":
        return _longest(parameter.opts)
    return f"the argument {parameter.metavar or parameter.name}"


def _longest(spellings: list[str]) -> str:
    return max(spellings, key=len)


def _as_clause(sentence: str) -> str:
    """Return a sentence as it goes on after a colon."""
    return (sentence[:1].lower() + sentence[1:]).removesuffix(".")
