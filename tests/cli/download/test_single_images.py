"""`moodbench download` of datasets that come image by image."""

from __future__ import annotations

import csv

from tests.server import Refusal


def test_single_images_that_fail_are_named_and_tried_again(world):
    world.page("/single/03.png").always = Refusal(404)
    world.page("/single/07.png").body = b"<html>try later</html>"
    world.page("/single/09.png").refusals = [Refusal(503), Refusal(503)]
    world.page("/single/11.png").cuts = [20]
    result = world.call("loose")
    assert result.exit_code == 1
    assert "2 of the 20 images of 'loose' could not be fetched" in result.stderr
    failed = world.data / ".moodbench" / "loose.failed.csv"
    assert str(failed) in result.stderr
    assert [(row["path"], row["reason"]) for row in csv.DictReader(failed.read_text().splitlines())] == [
        ("03.png", "HTTP 404 (not found)"),
        ("07.png", "the server sent a web page"),
    ]
    assert not (world.data / "far").exists()
    world.page("/single/03.png").always = None
    world.page("/single/07.png").body = world.loose["07.png"]
    counts = {name: len(world.page(f"/single/{name}").asked) for name in world.loose}
    again = world.call("loose")
    assert again.exit_code == 0, again.output
    assert world.files("far/loose") == world.loose
    more = {name for name in world.loose if len(world.page(f"/single/{name}").asked) > counts[name]}
    assert more == {"03.png", "07.png"}
    assert not failed.exists()
    assert world.left() == []


def test_a_list_that_names_an_image_twice_costs_no_request(world):
    world.page("/lists/loose.txt").body = b"00.png\n01.png\n00.png\n"
    world.entries["loose"]["list"].pop("lines")
    result = world.call("loose")
    assert result.exit_code == 1
    assert "the image list of 'loose' repeats '00.png'" in result.stderr
    assert world.page("/single/00.png").asked == []


def test_nobody_answers(world):
    world.call("shapes", "two_shapes")
    world.entries["loose"]["per_image"] = "http://127.0.0.1:9/{name}"
    result = world.call("loose")
    assert result.exit_code == 1
    assert "cannot be fetched" in result.stderr
    assert "goes on from here" in result.stderr


def test_images_that_were_lost_are_fetched_again(world):
    assert world.call("loose").exit_code == 0
    (world.data / "far/loose/05.png").unlink()
    result = world.call("loose")
    assert result.exit_code == 0, result.output
    assert world.files("far/loose") == world.loose
    assert [len(world.page(f"/single/{name}").asked) for name in ("04.png", "05.png")] == [1, 2]
