"""files/hub.py, TinyCLIP: the real form of TinyCLIP's file, its name, its tag, where it cannot be had."""

import copy
import json

import open_clip
import pooch
import pytest
import torch

import aaclip_lite as aa
from aaclip_lite.files import hub
from tests.core.test_clip import close
from tests.files.flaky_server import serve

SMALL = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return open_clip.CLIP(**copy.deepcopy(SMALL)).half().float().eval().requires_grad_(False)


@pytest.fixture
def file(tmp_path, monkeypatch, theirs):
    """As released: half precision, below "state_dict", each tower wrapped by a module of its own."""
    monkeypatch.setattr(hub, "CONFIG", SMALL)
    state = {}
    for name, tensor in theirs.state_dict().items():
        tower = "image_encoder" if name.startswith("visual.") else "text_encoder"
        tower = "logit_scale" if name == "logit_scale" else tower
        if name != "attn_mask":  # theirs does not save it
            state[f"_{tower}.module.{name}"] = tensor.half()
    assert "_image_encoder.module.visual.conv1.weight" in state
    torch.save({"epoch": 25, "name": "TinyCLIP", "state_dict": state}, tmp_path / hub.FILE)
    return tmp_path / hub.FILE


@torch.no_grad()
def test_the_released_form_is_read(file, theirs):
    clip = aa.load_clip("TinyCLIP-ViT-8M-16", weights=file)
    assert clip.activation == "gelu"
    pictures = torch.randn(2, 3, 32, 32)
    sentences = ["a bolt", "a photo of a rusty bolt."]
    close(clip.encode_image(pictures), theirs.encode_image(pictures))
    close(clip.encode_text(sentences), theirs.encode_text(open_clip.tokenize(sentences)))
    assert aa.load_clip("TinyCLIP-ViT-8M-16-Text-3M", file, image_size=64).grid == 4


def test_the_name_alone_is_the_published_size():
    clip = aa.load_clip("TinyCLIP-ViT-8M-16", weights=None)
    count = {"visual": 0, "token_embedding": 0, "text": 0}
    for name, weight in clip.named_parameters():
        part = name.partition(".")[0]
        count[part if part in count else "text"] += weight.numel()
    assert 8.0e6 < count["visual"] < 8.5e6 and 2.3e6 < count["text"] < 3.2e6
    assert clip.visual.transformer.resblocks[0].attn.num_heads == 4
    assert 46e6 < 2 * sum(count.values()) < 48e6  # bytes in half precision
    with pytest.raises(ValueError, match="'yfcc15m', a file, or None"):
        aa.load_clip("TinyCLIP-ViT-8M-16")


def test_the_tag_is_fetched_once_and_checked(file, tmp_path, monkeypatch):
    monkeypatch.setenv("AACLIP_LITE_CACHE", str(tmp_path / "cache"))
    with serve({hub.FILE: file.read_bytes()}) as server:
        monkeypatch.setattr(hub, "ADDRESSES", (server.address("good", hub.FILE),))
        with pytest.raises(FileNotFoundError, match=r"(?s)SHA-256 is.*weights='path/to/file'"):
            aa.load_clip("TinyCLIP-ViT-8M-16", weights="yfcc15m")
        assert not list((tmp_path / "cache").rglob("*.pt*"))
        monkeypatch.setattr(hub, "SHA256", pooch.file_hash(str(file)))
        clip = aa.load_clip("TinyCLIP-ViT-8M-16", weights="YFCC15M")
        again = aa.load_clip("TinyCLIP-ViT-8M-16", weights="yfcc15m")
    assert len(server.asked) == 2 and again.fingerprint() == clip.fingerprint()


def test_a_changed_config_stays_in_the_call():
    before = json.dumps(hub.CONFIG)
    aa.load_clip("TinyCLIP-ViT-8M-16", weights=None, image_size=64)
    assert json.dumps(hub.CONFIG) == before
