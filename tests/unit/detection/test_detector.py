"""Detectors: the numbers are those of `score`, to the bit; fits are kept, read again, and made anew when stale."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

import moodbench
from moodbench.commands.extract import extract
from moodbench.commands.score import score
from moodbench.detection.detector import Detector
from moodbench.detection.fitted import read_fitted
from moodbench.errors import CacheError, CacheMismatchError, ModelError, ResultsError, UsageError
from moodbench.evaluation.kept import kept_rows
from moodbench.features.cache import FeatureCache
from moodbench.workspace import ModelName

TINY = ModelName("tiny")


def kept_by_id(space, name, dataset, rows=None):
    """Return the row scores of a dataset, by the images' ids."""
    kept = (rows or kept_rows(space, "tiny", "tiny")).kept
    ids = [text.decode() for text in kept.arrays[f"{dataset}/ids"].tolist()]
    (params,) = [params for score, params in kept.names if score == name]
    return dict(zip(ids, kept.of(name, params)[dataset].tolist(), strict=True))


def values(detector, folder, ids):
    """Return the scores of images below a folder."""
    return [verdict.value for verdict in detector([folder / name for name in ids], neighbours=0)]


def load(space, name="mahalanobis", **options):
    said: list[str] = []
    detector = Detector.load("tiny", name, workspace=space, device="cpu", report=said.append, **options)
    return detector, said


SOME = ["ash_b", "cop", "corp", "dice", "energy", "gradnorm", "hopfield", "iforest", "kl_matching", "knn", "lof"]
SOME += [
    "mahalanobis",
    "msp",
    "nac_last",
    "neco",
    "openmax",
    "optfs",
    "qda",
    "random",
    "relation",
    "she",
    "sirc",
    "vim",
]


def test_scores_have_the_bits_that_score_gave(space, pictures):
    """Whatever images are beside one another, and in whatever order."""
    extract("tiny", benchmark="tiny", workspace=space, workers=0)
    score(model="tiny", score=SOME, device="cpu", workspace=space)
    rows = kept_rows(space, "tiny", "tiny")
    first = None
    rng = np.random.default_rng(0)
    for name in dict(rows.kept.names):
        detector, _ = load(space, name)
        first = first or detector._extractor
        detector.__dict__["_extractor"] = first  # the network is the same for all
        for dataset in ("test", "ood"):
            wanted = kept_by_id(space, name, f"tiny_{dataset}", rows)
            ids = rng.permutation(list(wanted)).tolist()
            for some in (ids, ids[:1], ids[:3]):
                np.testing.assert_array_equal(
                    values(detector, pictures / dataset, some), [wanted[one] for one in some], err_msg=name
                )


def test_verdicts_have_p_values_neighbours_and_reasons(scored, pictures):
    detector, said = load(scored)
    assert said == ["fitted mahalanobis on tiny_train of tiny"]
    wanted = kept_by_id(scored, "mahalanobis", "tiny_test")
    assert sorted(detector.calibration) == sorted(wanted.values())
    ood = sorted((pictures / "ood").iterdir())
    train = pictures / "train" / "blue" / "03.png"
    verdicts = detector([*ood, str(train), Image.open(train), "gone.png"], fpr_id=0.2, neighbours=2)
    for verdict in verdicts[:-1]:
        lower = sum(one <= verdict.value for one in wanted.values())
        assert verdict.p_value == (1 + lower) / (len(wanted) + 1)
        assert verdict.verdict == ("out" if verdict.p_value <= 0.2 else "in")
        assert [one.cosine for one in verdict.neighbours] == sorted(
            (n.cosine for n in verdict.neighbours), reverse=True
        )
    assert verdicts[11].image == str(train)
    assert verdicts[12].image == "#13"
    assert verdicts[11].value == verdicts[12].value
    nearest = verdicts[11].neighbours[0]
    assert (nearest.image, nearest.class_name, round(nearest.cosine, 5)) == ("blue/03.png", "blue", 1.0)
    assert (verdicts[-1].verdict, verdicts[-1].value, verdicts[-1].error) == (None, None, "the file does not exist")
    share = detector.share(verdicts[:11])
    assert share.images == 11
    assert share.low <= share.out <= share.high


def test_one_image_may_be_named_by_itself(scored, pictures):
    detector, _ = load(scored, "msp")
    file = pictures / "test" / "blue" / "00.png"
    (one,), (same,) = detector(file), detector([str(file)])
    assert (one.value, one.verdict) == (same.value, same.verdict)
    assert detector([]) == []
    with pytest.raises(UsageError, match="not int"):
        detector([3])
    with pytest.raises(UsageError, match="a share between 0 and 1"):
        detector(file, fdr=5)


def test_a_fit_is_made_anew_only_when_something_it_is_made_from_changed(scored):
    load(scored)
    file = scored.detector_file(TINY, "tiny", "mahalanobis")
    before = file.read_bytes()
    assert load(scored)[1] == []
    assert file.read_bytes() == before
    file.write_bytes(before[:-1])
    assert any("truncated" in line for line in load(scored)[1])
    assert file.read_bytes() == before  # equal fits give equal bytes
    fitted = read_fitted(file)
    fitted.about["inputs"]["versions"]["torch"] = "0.1"
    moodbench.detection.fitted.write_fitted(file, fitted)
    assert load(scored)[1] == ["fitted mahalanobis on tiny_train of tiny"]
    # the row scores decide what images are held against
    score(model="tiny", score="mahalanobis", params={"mahalanobis": {}}, device="cpu", workspace=scored)
    assert load(scored)[1] == []


def test_what_is_missing_is_named_with_what_to_run(scored):
    with pytest.raises(ResultsError, match="no row scores of 'energy'") as caught:
        load(scored, "energy")
    assert caught.value.fix == "moodbench score --benchmark tiny --model tiny --score energy"
    with pytest.raises(ResultsError, match=r"with k=3 on 'tiny' for 'tiny': it was run with k=50") as caught:
        load(scored, "knn", params={"k": 3})
    assert caught.value.fix.endswith("--score knn --param knn.k=3")
    with pytest.raises(UsageError, match="no score 'mahalanobiss'"):
        load(scored, "mahalanobiss")
    with pytest.raises(UsageError, match="no cached model 'tinny'"):
        Detector.load("tinny", "msp", workspace=scored)
    with pytest.raises(UsageError, match="no benchmark 'big'"):
        load(scored, benchmark="big")
    shutil.rmtree(scored.cache_dir / "tiny" / "scores")
    with pytest.raises(ResultsError, match="no row scores"):
        load(scored)
    with pytest.raises(ResultsError, match="missing or stale"):
        load(scored, benchmark="tiny")
    with pytest.raises(UsageError, match="of a model and a score"):
        Detector.load("tiny", workspace=scored)


def test_a_saved_detector_is_one_file(scored, pictures, tmp_path):
    detector, _ = load(scored, "vim")
    detector.save(tmp_path / "mine.h5")
    images = sorted((pictures / "test").rglob("*.png"))
    wanted = [(one.value, one.p_value, one.verdict) for one in detector(images, neighbours=0)]
    shutil.rmtree(scored.cache_dir)
    shutil.rmtree(scored.results_dir)
    elsewhere = Detector.load(file=tmp_path / "mine.h5", workspace=scored, device="cpu")
    assert [(one.value, one.p_value, one.verdict) for one in elsewhere(images, neighbours=0)] == wanted
    with pytest.raises(CacheError, match="is gone, and the detector needs it"):
        elsewhere(images)  # the nearest images are in the cache
    with pytest.raises(UsageError, match="give file= alone"):
        Detector.load("tiny", file=tmp_path / "mine.h5", workspace=scored)
    with pytest.raises(CacheError, match="no such file"):
        Detector.load(file=tmp_path / "other.h5", workspace=scored)


def test_a_bank_is_read_from_the_cache_of_id_train(scored, pictures, tmp_path):
    detector, _ = load(scored, "knn")
    detector.save(tmp_path / "knn.h5")
    assert (tmp_path / "knn.h5").stat().st_size < scored.cache_file(TINY, "tiny_train").stat().st_size
    image = pictures / "test" / "blue" / "00.png"
    loaded = Detector.load(file=tmp_path / "knn.h5", workspace=scored, device="cpu")
    assert loaded(image)[0].value == detector(image)[0].value
    scored.cache_file(TINY, "tiny_train").unlink()
    with pytest.raises(CacheError, match="is gone"):
        Detector.load(file=tmp_path / "knn.h5", workspace=scored, device="cpu")(image, neighbours=0)


def test_a_network_that_is_another_is_refused(scored, pictures, checkpoint):
    import torch
    from safetensors.torch import load_file, save_file

    detector, _ = load(scored)
    state = load_file(checkpoint)
    other = scored.cache_dir.parent / "other.safetensors"
    save_file({name: torch.zeros_like(tensor) for name, tensor in state.items()}, other)
    changed, _ = load(scored, checkpoint=other)
    with pytest.raises(CacheMismatchError, match="weights_sha256"):
        changed(pictures / "test" / "blue" / "00.png")
    with FeatureCache(scored.cache_file(TINY, "tiny_test")) as cache:
        assert cache.provenance["source"] == "extract"
    detector.about["network"]["source"] = "import"
    with pytest.raises(ModelError, match="were imported"):
        detector(pictures / "test" / "blue" / "00.png")


def test_row_scores_of_other_code_are_refused(scored):
    from moodbench.features.rowscores import KEPT, read_row_scores, write_row_scores

    file = scored.kept_scores_file(TINY, "tiny")
    kept = read_row_scores(file, KEPT)
    kept.arrays["tiny_test/scores/vim"] = kept.arrays["tiny_test/scores/vim"] + 5
    write_row_scores(file, kept)
    with pytest.raises(ResultsError, match="made otherwise than this code makes them"):
        load(scored, "vim")
    assert not scored.detector_file(TINY, "tiny", "vim").exists()
