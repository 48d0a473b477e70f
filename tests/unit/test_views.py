"""Names of views, and which layers a choice means."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moodbench.errors import UnknownNameError, UsageError
from moodbench.views import POOLS, LayerChoice, LayerView, split_at
from moodbench.workspace import ModelName

PART = st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.[0-9]{1,2})?", fullmatch=True)
NAMES = st.lists(PART.filter(lambda name: name != "all"), min_size=1, max_size=12, unique=True)


@given(layer=PART, pool=st.none() | st.sampled_from(POOLS))
def test_the_name_of_a_layer_is_taken_apart_as_it_was_made(layer, pool):
    view = LayerView(layer, pool)
    assert LayerView.parse(str(view)) == view


@given(base=PART, variant=st.none() | PART, layer=PART, head=st.none() | PART)
def test_a_view_of_a_model_is_a_model(base, variant, layer, head):
    name = ModelName(base, variant, head, str(LayerView(layer)))
    assert ModelName.parse(str(name)) == name
    assert ModelName.of_file(name.file) == name
    assert ModelName.of_folder(name.folder) == name.without_head
    assert name.whole == ModelName(base, variant)
    assert name.folder == f"{name.whole.folder}@layer-{layer}"


def test_variant_and_view_are_told_apart():
    assert split_at("moodv2") == ("moodv2", None)
    assert split_at("view-odin-0.0014") == (None, "view-odin-0.0014")
    assert split_at("bf16@layer-blocks.3") == ("bf16", "layer-blocks.3")
    assert LayerView.parse("view-odin") is None
    assert LayerView.parse(None) is None


@pytest.mark.parametrize(
    "name", ["m@layer-", "m@view-", "m@layer-a@layer-b", "m@a@b", "m@layer-a@b", "m@layer-a/b", "m@@layer-a"]
)
def test_names_of_no_view(name):
    with pytest.raises(UsageError, match="cannot name a model"):
        ModelName.parse(name)


def test_a_variant_cannot_be_called_like_a_view():
    with pytest.raises(UsageError, match="is the name of a view"):
        ModelName("m", "layer-a")
    with pytest.raises(UsageError, match="is no view"):
        ModelName("m", view="bf16")


@given(offered=NAMES, every=st.integers(1, 15))
def test_every_nth_layer_has_the_last_and_equal_steps(offered, every):
    chosen = LayerChoice.parse(f"every:{every}").of(offered)
    at = [offered.index(name) for name in chosen]
    assert at[-1] == len(offered) - 1
    assert at[0] < every
    assert all(b - a == every for a, b in itertools.pairwise(at))


@given(offered=NAMES, data=st.data())
def test_named_layers_come_in_the_order_of_the_network(offered, data):
    wanted = data.draw(st.lists(st.sampled_from(offered), min_size=1))
    chosen = LayerChoice.parse(", ".join(wanted)).of(offered)
    assert chosen == tuple(name for name in offered if name in wanted)


@given(offered=NAMES)
def test_all_layers(offered):
    assert LayerChoice.parse(" all ").of(offered) == tuple(offered)


@pytest.mark.parametrize("text", ["", " ", "a,,b", ",", "every:", "every:0", "every:-1", "every:x", "a b", "all,b"])
def test_what_says_no_layers(text):
    with pytest.raises(UsageError, match="does not say which layers"):
        LayerChoice.parse(text)


@given(text=st.text(max_size=20))
def test_any_text_is_a_choice_or_refused(text):
    try:
        choice = LayerChoice.parse(text)
    except UsageError:
        return
    assert choice.every > 0 or choice.names
    assert all(name and not any(map(str.isspace, name)) for name in choice.names)


def test_a_layer_that_is_not_there_is_named_with_what_there_is():
    with pytest.raises(UnknownNameError, match=r"there is no layer 'blocks\.9'\. Did you mean") as error:
        LayerChoice.parse("blocks.0,blocks.9").of(["blocks.0", "blocks.1"])
    assert "known layers: blocks.0, blocks.1" in str(error.value)
