"""What people get wrong on the command line, and the one message that each gets."""

from __future__ import annotations

import pytest

from tests.commands import call

BAD = [
    (["score"], 2, "nothing is asked for"),
    (["score", "--all"], 1, "there are no caches of any benchmark"),
    (["score", "--score", "vimm"], 2, "there is no score 'vimm'. Did you mean 'vim'"),
    (["score", "--benchmark", "imagnet"], 2, "there is no benchmark 'imagnet'. Did you mean 'imagenet'"),
    (["score", "--model", "nobody"], 2, "there is no cached model 'nobody'"),
    (["score", "--all", "--param", "vim"], 2, "is not a parameter"),
    (["score", "--all", "--param", "vim.size=3"], 2, "has no parameter 'size'"),
    (["score", "--all", "--threads", "0"], 2, "at least 1"),
    (["score", "--all", "--scores-from", "missing.py"], 2, "the file with scores does not exist"),
    (["table"], 1, "there are no results"),
    (["table", "--format", "word"], 2, "there is no table format 'word'"),
    (["table", "--benchmark", "tiny"], 1, "the benchmark 'tiny' has no results"),
    (["table", "--benchmark", "tinny"], 2, "Did you mean 'tiny'"),
    (["plot", "grid"], 1, "there are no results"),
    (["plot", "pie"], 2, "there is no plot 'pie'"),
    (["extract", "--model", "beitv3"], 2, "there is no model 'beitv3'. Did you mean 'beit3'"),
    (["extract", "--model", "tiny", "--dataset", "imagenett_o"], 2, "Did you mean 'imagenet_o'"),
    (["extract", "--model", "tiny", "--dataset", "imagenet_o"], 1, "are not on this disk"),
    (["extract", "--model", "timm:no_such_net", "--dataset", "tiny_ood"], 2, "no_such_net"),
    (["extract", "--model", "timm:timm/resnet18", "--dataset", "tiny_ood"], 2, "timm/resnet18"),
    (["extract", "--model", "tiny", "--images", "empty"], 2, "needs exactly one --dataset"),
    (["extract", "--model", "tiny", "--images", "empty", "--dataset", "e"], 1, "holds no images"),
    (["extract", "--model", "tiny", "--images", "nowhere", "--dataset", "e"], 1, "does not exist"),
    (["extract", "--model", "tiny", "--precision", "int8"], 2, "--precision cannot be 'int8'"),
    (
        ["extract", "--model", "tiny", "--on-error", "ignore"],
        2,
        "--on-error cannot be 'ignore'.\n  fix:  use one of: ",
    ),
    (["extract", "--model", "tiny", "--checkpoint", "no.pth", "--dataset", "tiny_ood"], 1, "no.pth"),
    (["extract", "--model", "tiny", "--transform", "zoom", "--dataset", "tiny_ood"], 2, "zoom"),
    (["import", "--model", "m", "--dataset", "d", "no.npz"], 1, "the file does not exist"),
    (["cache", "verify"], 1, "there are no caches"),
    (["cache", "remove", "--model", "m"], 2, "there is no cached model 'm'"),
    (["list", "scores", "--quiet", "--debug"], 2, "contradict"),
    (["list", "models", "--catalog", "no.yaml"], 1, "the catalogue does not exist"),
    (
        ["table", "--layout", "gird"],
        2,
        "--layout cannot be 'gird'. Did you mean 'grid'?\n  fix:  use one of: grid,",
    ),
    (["table", "--positive", "neither"], 2, "--positive cannot be 'neither'.\n  fix:  use one of: id, ood"),
    (["table", "--metric", "auroq"], 1, "there are no results"),
    (["table", "--layout", "it's"], 2, "--layout cannot be 'it's'."),
    (["download", "tiny_ood", "--link", "Hard"], 2, "--link cannot be 'Hard'. Did you mean 'hard'?"),
    (["extractt"], 2, "no such command 'extractt'. Did you mean 'extract'?\n  fix:  "),
    (["list", "model"], 2, "no such command 'model'."),
    (["--al"], 2, "there is no option '--al'"),
    (["score", "--al"], 2, "there is no option '--al'. Did you mean '--all'?\n  fix:  "),
    (["extract"], 2, "--model is missing\n  fix:  "),
    (["import", "--model", "m", "--dataset", "d"], 2, "the argument file is missing"),
    (["score", "--threads", "many"], 2, "--threads takes a whole number"),
    (["extract", "--model", "tiny", "--crop", "half"], 2, "--crop takes a number"),
    (["table", "--layout"], 2, "option '--layout' requires an argument"),
    (["list", "scores", "msp", "vim"], 2, "got unexpected extra argument"),
]


@pytest.mark.parametrize(("args", "code", "message"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_bad_input_gets_one_message(home, args, code, message):
    (home / "empty").mkdir()
    result = call(*args)
    assert result.exit_code == code, result.stderr
    assert result.stderr.count("error:") == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_benchmark_without_ood_datasets(home):
    (home / "bad.yaml").write_text(
        "benchmarks:\n  b: {id_train: digits_train, id_test: digits_test, ood: {near: []}}\n"
    )
    result = call("list", "benchmarks", "--catalog", "bad.yaml")
    assert result.exit_code == 1
    assert "the benchmark 'b' has no OOD dataset" in result.stderr
