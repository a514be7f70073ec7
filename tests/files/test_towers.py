"""towers.py: open_clip's names, shapes, numbers and words, without importing open_clip."""

import copy

import open_clip
import pytest
import torch

from aaclip_lite.clip import FrozenCLIP
from aaclip_lite.files.towers import _tokenizer, is_plain, tokenize, towers
from aaclip_lite.load import load_clip
from tests import tiny

CONFIG = tiny.config(vision={"mlp_ratio": 2.0})


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return open_clip.CLIP(**copy.deepcopy(CONFIG)).eval()


def test_names_and_shapes_are_open_clips(theirs):
    ours = towers(CONFIG)
    shapes = {name: value.shape for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in ours.state_dict().items()} == shapes
    assert {name for name, _ in ours.named_parameters()} == shapes.keys()


def test_the_walk_over_both_gives_the_same_bits(theirs):
    ours = FrozenCLIP(towers(CONFIG), tokenize)
    ours.load_state_dict(theirs.state_dict())
    other = FrozenCLIP(copy.deepcopy(theirs), open_clip.tokenize)
    images = torch.randn(2, 3, 16, 16)
    sentences = ["a photo of a damaged bolt.", "a cup"]
    for each in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=each):
            assert torch.equal(ours.encode_image(images), other.encode_image(images))
            assert torch.equal(ours.encode_text(sentences), other.encode_text(sentences))
            mine = ours.dense_tokens(images, (1, 2), 1, "tokens")[0]
            assert all(map(torch.equal, mine, other.dense_tokens(images, (1, 2), 1, "tokens")[0]))


def test_words_become_open_clips_tokens():
    sentences = ["a photo of a Bottle with a scratch.", "naïve café & 3 l, don't", "", "a " * 99]
    _tokenizer.cache_clear()
    assert torch.equal(tokenize(sentences, 24), open_clip.tokenize(sentences, 24))


@pytest.mark.parametrize(
    "change",
    [
        {"vision": {"ls_init_value": 0.1}},
        {"vision": {"image_size": (16, 16)}},
        {"text": {"proj_type": "none"}},
    ],
)
def test_anything_unusual_is_left_to_open_clip(change):
    assert is_plain(CONFIG) and not is_plain(tiny.config(**change))


def test_a_config_with_layer_scale_still_loads_with_weights(tmp_path):
    config = tiny.config(vision={"ls_init_value": 0.5})
    state = open_clip.CLIP(**copy.deepcopy(config)).state_dict()
    torch.save(state, tmp_path / "clip.pt")
    clip = load_clip(config, weights=tmp_path / "clip.pt")
    assert {name for name in state if "ls_1" in name} <= clip.state_dict().keys()
