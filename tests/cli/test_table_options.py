"""``moodbench table``: rows and columns, sorting, intervals and captions, together."""

from __future__ import annotations

import json

import pytest

from tests.commands import call


def test_options_of_the_layout_compose_in_every_format(scored):
    for name in ("markdown", "plain", "latex", "html", "csv", "json"):
        shown = call(
            *("table", "--rows", "model", "--cols", "score", "--transpose", "--sort", "best", "--intervals"),
            *("--decimals", "3", "--caption", "Ours", "--label", "tab:ours", "--format", name),
        )
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert "Ours" in shown.stdout
    assert call("table", "--rows", "score").stdout == call("table", "--layout", "grid").stdout
    assert call("table", "--transpose").stdout == call("table", "--rows", "model").stdout
    turned = call("table", "--rows", "dataset", "--format", "json").stdout
    assert {record["ood"] for record in json.loads(turned)[0]["records"]} == {"tiny_ood", "mean"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--rows", "model", "--cols", "model"], "'model' cannot be the rows and the columns"),
        (["--layout", "grid", "--rows", "dataset"], "the layout 'grid' has scores and models, and no datasets"),
        (["--layout", "all", "--cols", "score"], "the layout 'all' is two tables"),
        (["--layout", "all", "--caption", "x"], "--caption would be of 2 tables at once"),
        (["--sort", "nope"], "there is no column to sort by 'nope'"),
        (["--decimals", "9"], "decimals cannot be 9"),
        (["--label", "a b"], "--label cannot be 'a b'"),
        (["--metric", "fpr95", "--intervals"], "only AUROC has an interval"),
        (["--rows", "model", "--dataset", "tiny_ood", "--cols", "score"], "the grid shows means"),
    ],
)
def test_what_contradicts_itself_is_one_clear_message(scored, given, said):
    shown = call("table", *given)
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert said in shown.stderr
    assert shown.stderr.count("error:") == 1
