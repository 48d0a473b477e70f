"""``moodbench list …`` where nothing matches, and where it is the title that does; ``--out`` with a folder."""

from __future__ import annotations

import pytest

from tests.commands import call


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["models", "beet"], "nothing matches 'beet'. Did you mean 'beit'"),
        (["scores", "mahalanobiss"], "nothing matches 'mahalanobiss'. Did you mean 'mahalanobis'"),
        (["benchmarks", "tinny"], "nothing matches 'tinny'. Did you mean 'tiny'"),
        (["datasets", "texturs"], "nothing matches 'texturs'. Did you mean 'textures'"),
        (["models", "qqqq"], "nothing matches 'qqqq'\n"),
        (
            ["models", "digits_mim", "--pretext", "contrastive"],
            "nothing matches: 'digits_mim' is in digits_mim, digits_mim",
        ),
        (["models", "--cached"], "nothing matches\n"),
        (["models", "beet", "--fair"], "nothing matches 'beet'. Did you mean 'beit'"),
    ],
)
def test_what_may_be_meant(home, given, said):
    shown = call("list", *given)
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert said in shown.stderr
    assert call("list", *given, "--json").stdout == "[]\n"


def test_titles_are_shown_where_they_are_why_something_matches(home):
    by_name = call("list", "models", "digits_mim").stdout
    assert "title" not in by_name.splitlines()[0].split()
    by_title = call("list", "datasets", "Tiny test").stdout
    assert by_title.splitlines()[0].split()[:2] == ["name", "title"]
    assert "Tiny test" in by_title
    assert call("list", "scores", "mahala").stdout.splitlines()[0].split().count("title") == 1


def test_a_folder_is_no_file_to_write(scored):
    (scored / "out.csv").mkdir()
    for args in (["table"], ["table", "--format", "csv"], ["compare", "--reference", "moodv2"]):
        for folder in (".", "out.csv"):
            shown = call(*args, "--out", folder)
            assert (shown.exit_code, shown.stdout) == (2, "")
            assert f"--out '{folder}' is a folder" in shown.stderr
            assert "name a file in it" in shown.stderr
