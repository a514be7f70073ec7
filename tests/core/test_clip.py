"""backbone.py, frozen.py, weights.py: equal to open_clip, every source, every refusal, nothing run,
no network.
"""

import copy
import json
import math
import pickle
import socket
import warnings
from types import SimpleNamespace

import huggingface_hub
import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from aaclip_lite import load as backbone
from aaclip_lite.clip import MEAN_STD
from aaclip_lite.files import hub
from aaclip_lite.files.weights import WeightsError, read_state, resize_positions
from aaclip_lite.load import load_clip
from aaclip_lite.recipe import Recipe
from tests import tiny
from tests.layouts import write_archive

CONFIG = tiny.config(
    embed_dim=24,
    vision={"image_size": 28, "layers": 4, "width": 32, "head_width": 16, "patch_size": 7},
    text={"context_length": 16, "layers": 3},
)
SENTENCES = ["a bolt", "a photo of a rusty bolt with a broken head.", "x"]


@pytest.fixture(scope="module", params=[False, True], ids=["gelu", "quick_gelu"])
def pair(request):
    """open_clip's model and ours with its weights, far from the tame random start."""
    torch.manual_seed(0)
    theirs = open_clip.CLIP(**CONFIG, quick_gelu=request.param).eval().requires_grad_(False)
    for p in theirs.parameters():
        p.add_(0.1 * torch.randn_like(p))
    ours = load_clip(CONFIG, weights=None, activation="quick_gelu" if request.param else "gelu")
    ours.load_state_dict(theirs.state_dict())
    return SimpleNamespace(theirs=theirs, ours=ours, images=torch.randn(3, 3, 28, 28))


@pytest.fixture(scope="module")
def state():
    torch.manual_seed(1)
    return {k: v.detach() for k, v in open_clip.CLIP(**copy.deepcopy(CONFIG)).state_dict().items()}


def close(a, b, tolerance=1e-5):
    assert (a - b).abs().max() <= tolerance * b.square().mean().sqrt()


# ---- the walk ------------------------------------------------------------------------------------


def test_image_output_equals_open_clip(pair):
    close(pair.ours.encode_image(pair.images), pair.theirs.encode_image(pair.images))
    close(pair.ours(pair.images), pair.theirs.encode_image(pair.images))


def test_text_output_equals_open_clip_though_cut_at_the_longest_sentence(pair):
    tokens = open_clip.tokenize(SENTENCES, context_length=16)
    assert torch.equal(pair.ours.tokenize(SENTENCES), tokens)
    close(pair.ours.encode_text(SENTENCES), pair.theirs.encode_text(tokens))
    close(pair.ours.encode_text(tokens[:1]), pair.theirs.encode_text(tokens)[:1])


def test_a_beginning_that_sentences_share_runs_once_and_gradients_add_up(pair):
    sentences = ["a photo of a bolt", "a photo of a damaged bolt", "a photo of a bolt", "a bolt"]
    tokens, theirs = pair.ours.tokenize(sentences), copy.deepcopy(pair.theirs).requires_grad_()
    factor, sizes = torch.ones(pair.ours.text_width, requires_grad=True), []

    def after_block(index, x):  # as an adapter: the same weights behind every token
        sizes.append(x.shape[:-1])
        return x * factor

    found = pair.ours.text_states(tokens, after_block)
    found.square().sum().backward()
    assert set(sizes) == {(12,)}  # written out, the sentences have 32 places
    close(found[0], found[2])
    weights = torch.ones(pair.ours.text_width, requires_grad=True)
    x = theirs.token_embedding(tokens) + theirs.positional_embedding
    for block in theirs.transformer.resblocks:
        x = block(x, attn_mask=theirs.attn_mask) * weights
    expected = theirs.ln_final(x)[range(4), tokens.argmax(-1)]
    expected.square().sum().backward()
    close(found, expected)
    close(factor.grad, weights.grad, 1e-4)


def test_levels_equal_open_clips_intermediates(pair):
    expected = pair.theirs.visual.forward_intermediates(
        pair.images, indices=[0, 2, 3], output_fmt="NLC", output_extra_tokens=True
    )
    levels = pair.ours.image_tokens(pair.images, (1, 3, 4))
    for level, patches, prefix in zip(
        levels, expected["image_intermediates"], expected["image_intermediates_prefix"], strict=True
    ):
        close(level, torch.cat([prefix, patches], dim=1))


def test_after_block_acts_before_the_level_is_read(pair):
    calls = []

    def after_block(index, x):
        calls.append(index)
        return x * 2 if index == 1 else x

    plain = pair.ours.image_tokens(pair.images, (2,))[0]
    assert torch.equal(pair.ours.image_tokens(pair.images, (2,), after_block)[0], 2 * plain)
    assert calls == [0, 1]  # no block is run beyond the last level


def value_value(block, x, activation, heads):
    """One block by definition, attention from materialised weights softmax(v v^T / sqrt(head)) v."""
    batch, length, width = x.shape
    hidden = block.ln_1(x)
    v = hidden @ block.attn.in_proj_weight[2 * width :].T + block.attn.in_proj_bias[2 * width :]
    v = v.reshape(batch, length, heads, width // heads).transpose(1, 2)
    mixed = (v @ v.transpose(-2, -1) / math.sqrt(width // heads)).softmax(-1) @ v
    x = x + block.attn.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
    hidden = block.mlp.c_fc(block.ln_2(x))
    hidden = (
        hidden * torch.sigmoid(1.702 * hidden) if activation == "quick_gelu" else F.gelu(hidden)
    )
    return x + block.mlp.c_proj(hidden)


@pytest.mark.parametrize("axis", ["patch", "batch"])
def test_dense_pass_equals_its_definition(pair, axis):
    blocks = pair.theirs.visual.transformer.resblocks
    x = pair.theirs.visual._embeds(pair.images)
    expected = []
    for index, block in enumerate(blocks):
        if index < 1:
            x = block(x)
        elif axis == "patch":
            x = value_value(block, x, pair.ours.activation, 2)
        else:
            x = value_value(block, x.transpose(0, 1), pair.ours.activation, 2).transpose(0, 1)
        expected.append(x)
    dense, token = pair.ours.dense_tokens(pair.images, (1, 2, 4), 3, axis)
    for found, number in zip(dense, (1, 2, 4), strict=True):
        close(found, expected[number - 1])
    close(token, pair.ours.image_tokens(pair.images, (4,))[0][:, :1])


def test_dense_across_the_batch_depends_on_batch_mates_and_across_patches_does_not(pair):
    for axis, same in (("patch", True), ("batch", False)):
        together = pair.ours.dense_tokens(pair.images, (4,), 3, axis)[0][0][:1]
        alone = pair.ours.dense_tokens(pair.images[:1], (4,), 3, axis)[0][0]
        assert torch.allclose(together, alone, atol=1e-4) == same


def test_dense_pass_runs_shared_blocks_once(pair, monkeypatch):
    count, run = [], pair.ours._run_block
    monkeypatch.setattr(
        pair.ours, "_run_block", lambda *a: count.append(a[2]) or run(*a), raising=False
    )
    pair.ours.dense_tokens(pair.images, (1, 2, 3), 2, "patch")
    # 2 shared + 2 ordinary; dense only up to the last level
    assert (count.count(None), count.count("patch")) == (
        4,
        1,
    )
    count.clear()
    tokens, token = pair.ours.dense_tokens(pair.images, (2, 4), 3, None)
    assert count == [None] * 4 and torch.equal(tokens[-1][:, :1], token)


@pytest.mark.parametrize(("axis", "tokens"), [("patch", 1), ("batch", 1), (None, 17)])
def test_the_last_ordinary_block_computes_the_class_token_alone(pair, axis, tokens):
    """Unless its patches are the dense ones: then every token."""
    last = pair.ours.visual.transformer.resblocks[-1]
    seen = []
    hook = last.mlp.c_fc.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    pair.ours.dense_tokens(pair.images, (1, 2, 3), 2, axis)
    hook.remove()
    assert [shape[:2] for shape in seen] == [(3, tokens)]


def test_dense_features_are_unit_patches_plus_unit_class_feature(pair):
    recipe = Recipe.course().replace(levels=(2, 4), dense_blocks=2)
    features = pair.ours.dense_features(pair.images, recipe)
    class_feature = F.normalize(pair.theirs.encode_image(pair.images), dim=-1)
    assert [f.shape for f in features] == [(3, 16, 24)] * 2
    for feature in features:
        close((feature - class_feature[:, None]).norm(dim=-1), torch.ones(3, 16))


def test_frozen_in_every_way(pair):
    pair.ours.train()
    assert not any(m.training for m in pair.ours.modules())
    assert not any(p.requires_grad for p in pair.ours.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in pair.ours.modules())
    assert set(pair.ours.state_dict()) == set(pair.theirs.state_dict())


def test_checkpointing_changes_memory_not_numbers(pair):
    scale = torch.ones(32, requires_grad=True)
    gradients = []
    for setting in (False, True):
        pair.ours.checkpointing = setting
        loss = (
            pair.ours.image_tokens(pair.images, (4,), lambda index, x: x * scale)[0].square().mean()
        )
        gradients.append(torch.autograd.grad(loss, scale)[0])
    pair.ours.checkpointing = False
    assert torch.equal(*gradients) and gradients[0].abs().sum() > 0


# ---- pictures and sentences ----------------------------------------------------------------------


def test_preprocess_takes_bytes_or_fractions(pair):
    bytes_ = torch.randint(0, 256, (2, 3, 40, 30), dtype=torch.uint8)
    out = pair.ours.preprocess(bytes_)
    assert out.shape == (2, 3, 28, 28)
    close(out, pair.ours.preprocess(bytes_.float() / 255))
    same_size = torch.rand(1, 3, 28, 28)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in MEAN_STD["imagenet"])
    close(pair.ours.preprocess(same_size, "imagenet"), (same_size - mean) / std)


@pytest.mark.parametrize(
    "images, reason",
    [
        (torch.rand(3, 28, 28), "shape"),
        (torch.rand(1, 1, 28, 28), "shape"),
        (torch.rand(1, 3, 28, 28) * 255, "0, 1"),
    ],
)
def test_preprocess_refuses(pair, images, reason):
    with pytest.raises(ValueError, match=reason):
        pair.ours.preprocess(images)


def test_wrong_picture_size_names_both(pair):
    with pytest.raises(ValueError, match=r"\(1, 3, 35, 35\).*\(B, 3, 28, 28\)"):
        pair.ours.encode_image(torch.randn(1, 3, 35, 35))


def test_a_sentence_that_is_cut_is_said(pair):
    long = "word " * 30
    with pytest.warns(UserWarning, match="cut to the 16 tokens"):
        tokens = pair.ours.tokenize(["short", long])
    assert tokens.shape == (2, 16) and tokens[1, -1] == 49407
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pair.ours.tokenize(
            ["one two three four five six seven eight nine ten eleven twelve thirteen fourteen"]
        )


def test_one_string_is_not_a_list_of_letters(pair):
    with pytest.raises(TypeError, match="list"):
        pair.ours.encode_text("a bolt")


# ---- position grid -------------------------------------------------------------------------------


def test_position_grid_equals_open_clips_definition(state):
    for size in (63, 14, 28):
        config = copy.deepcopy(CONFIG)
        config["vision_cfg"]["image_size"] = size
        expected = dict(state)
        open_clip.model.resize_pos_embed(expected, open_clip.CLIP(**config))
        clip = load_clip(CONFIG, weights=None, image_size=size)
        clip.load_state_dict(state)
        found, expected = clip.visual.positional_embedding, expected["visual.positional_embedding"]
        assert (clip.grid, len(found)) == (size // 7, (size // 7) ** 2 + 1)
        assert (found - expected).abs().max() <= 1e-6
        assert torch.equal(found[0], state["visual.positional_embedding"][0])


def test_a_grid_that_is_not_square_is_refused():
    with pytest.raises(WeightsError, match="not square"):
        resize_positions(torch.zeros(13, 4), 5)


def test_fingerprint_knows_weights_not_image_size(state):
    small, large = load_clip(CONFIG, weights=None), load_clip(CONFIG, weights=None, image_size=56)
    small.load_state_dict(state)
    large.load_state_dict(state)
    assert small.fingerprint() == large.fingerprint()
    changed = dict(state, **{"visual.proj": state["visual.proj"] + 1e-3})
    large.load_state_dict(changed)
    assert small.fingerprint() != large.fingerprint()


# ---- sources -------------------------------------------------------------------------------------


def equal_weights(clip, state):
    assert clip.state_dict().keys() == state.keys()
    assert all(torch.equal(v, state[k]) for k, v in clip.state_dict().items())


@pytest.mark.parametrize(
    "name", ["clip.safetensors", "clip.pt", "clip.bin", "wrapped.pth", "half.pt", "legacy.pt"]
)
def test_local_files(state, tmp_path, name):
    path, expected = tmp_path / name, state
    if name.endswith("safetensors"):
        save_file(state, path)
    elif name == "wrapped.pth":
        torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    elif name == "half.pt":
        torch.save({k: v.half() for k, v in state.items()}, path)
        expected = {k: v.half().float() for k, v in state.items()}
    else:
        torch.save(state, path, _use_new_zipfile_serialization=name != "legacy.pt")
    clip = load_clip(CONFIG, weights=path)
    equal_weights(clip, expected)
    assert clip.activation == "gelu" and {p.dtype for p in clip.parameters()} == {torch.float32}


@pytest.fixture(scope="module")
def archive(state, tmp_path_factory):
    model = open_clip.CLIP(**copy.deepcopy(CONFIG)).eval()
    model.load_state_dict(state)
    return write_archive(tmp_path_factory.mktemp("archive") / "ViT-28px.pt", model)


def test_torchscript_archive_is_openais_and_runs_quick_gelu(archive, state):
    clip = load_clip(CONFIG, weights=archive)
    equal_weights(clip, state)
    assert clip.activation == "quick_gelu"


def test_another_activation_is_reported_with_its_cost(archive):
    with pytest.warns(
        UserWarning, match=r"trained with quick_gelu, run with gelu.*\d\.\d%.*\d\.\d%"
    ):
        clip = load_clip(CONFIG, weights=archive, activation="gelu")
    assert clip.activation == "gelu"
    cost = clip.activation_cost("quick_gelu")
    assert all(1e-4 < change < 1 for change in cost) and clip.activation_cost("gelu") == (0, 0)
    with pytest.raises(ValueError, match="activation = 'relu'"):
        load_clip(CONFIG, weights=archive, activation="relu")


def test_with_activation_shares_weights_and_leaves_the_first_alone(pair):
    other = {"gelu": "quick_gelu", "quick_gelu": "gelu"}[pair.ours.activation]
    twin = pair.ours.with_activation(other)
    assert (
        twin.visual.proj is pair.ours.visual.proj
        and pair.ours.activation != other == twin.activation
    )
    assert pair.ours.with_activation(None) is pair.ours
    assert not torch.allclose(
        twin.encode_image(pair.images), pair.ours.encode_image(pair.images), rtol=1e-4
    )


@pytest.fixture
def lite(state, tmp_path, monkeypatch):
    """An embedded folder as it ships: open_clip's config, fp16, only some token rows."""
    ids = torch.unique(
        torch.cat([open_clip.tokenize(SENTENCES, 16).flatten(), torch.tensor([0, 1])])
    ).int()
    small = {k: v.half() for k, v in state.items() if k != "token_embedding.weight"}
    small |= {
        "token_embedding.rows": state["token_embedding.weight"][ids].half(),
        "token_embedding.ids": ids,
    }
    folder = tmp_path / "lite_clip"
    folder.mkdir()
    save_file(small, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_cfg": CONFIG}))
    monkeypatch.setattr(backbone, "data_path", lambda name: tmp_path / name)
    return folder


def test_lite_touches_no_network_and_equals_open_clip(lite, monkeypatch):
    def no_network(*_, **__):
        raise AssertionError("lite tried to reach the network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    clip = load_clip()
    plain = open_clip.CLIP(**json.loads((lite / "config.json").read_text())["model_cfg"]).eval()
    plain.load_state_dict(clip.state_dict())
    images = torch.randn(2, 3, 28, 28)
    close(clip.encode_image(images), plain.encode_image(images))
    close(clip.encode_text(SENTENCES), plain.encode_text(open_clip.tokenize(SENTENCES, 16)))
    equal_weights(load_clip(lite), clip.state_dict())
    assert load_clip("lite", image_size=56).grid == 8


def test_lite_token_rows_that_are_not_stored_are_the_mean_row(lite, state):
    clip = load_clip("lite")
    table, seen = clip.token_embedding.weight, open_clip.tokenize(SENTENCES, 16).unique()
    assert torch.equal(table[seen], state["token_embedding.weight"][seen].half().float())
    stored = torch.cat([seen, torch.tensor([1])])
    torch.testing.assert_close(table[12345], table[stored].mean(0))
    assert torch.equal(table[12345], table[40000])


def test_damaged_token_rows_are_refused(lite):
    for ids in (torch.arange(3).int(), torch.full((99,), -1).int()):
        save_file(
            {"token_embedding.rows": torch.zeros(99, 16), "token_embedding.ids": ids},
            lite / "model.safetensors",
        )
        with pytest.raises(WeightsError, match="do not belong together"):
            load_clip("lite")


def test_config_file_and_open_clip_name(tmp_path, state):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(CONFIG))
    save_file(state, tmp_path / "w.safetensors")
    equal_weights(load_clip(path, weights=tmp_path / "w.safetensors"), state)
    named = load_clip("ViT-S/32-alt", weights=None, image_size=64)
    assert (named.grid, named.patch, named.vision_blocks, named.activation) == (2, 32, 12, "gelu")


def test_random_weights_only_on_request():
    with pytest.raises(ValueError, match=r"which weights of ViT-B-32.*openai"):
        load_clip("ViT-B-32")
    with pytest.warns(UserWarning, match="random"):
        load_clip(CONFIG)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_clip(CONFIG, weights=None)


def test_hub_name_without_network_or_cache_names_both_remedies(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    for setting in (True, False):
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", setting)
        monkeypatch.setattr(hub, "getproxies", dict)
        monkeypatch.setattr(socket, "create_connection", offline)
        monkeypatch.setattr(open_clip, "download_pretrained", offline)
        with pytest.raises(FileNotFoundError, match=r"weights='path/to/file'.*HF_HUB_CACHE"):
            load_clip("ViT-L-14-336", weights="openai", image_size=518)


CACHED = {  # (name, tag): repository of the hub, activation
    ("ViT-L-14-336", "openai"): ("timm/vit_large_patch14_clip_336.openai", "quick_gelu"),
    ("ViT-B-16", "openai"): ("timm/vit_base_patch16_clip_224.openai", "quick_gelu"),
    ("ViT-B-16", "laion2b_s34b_b88k"): ("laion/CLIP-ViT-B-16-laion2B-s34B-b88K", "gelu"),
}


@pytest.mark.parametrize("name, tag", CACHED)
def test_hub_name_from_cache_needs_no_network(monkeypatch, tmp_path, state, name, tag):
    path = tmp_path / "models--a_clip.safetensors"
    save_file(state, path)
    asked = []
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *a: asked.append(a) or str(path)
    )
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: copy.deepcopy(CONFIG))
    monkeypatch.setattr(socket, "create_connection", None)
    clip = load_clip(name, weights=tag)
    repository, activation = CACHED[name, tag]
    assert asked == [(repository, "open_clip_model.safetensors")]
    assert clip.activation == activation
    equal_weights(clip, state)


# ---- refusals ------------------------------------------------------------------------------------


class Bomb:
    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("kind", ["torch", "pickle", "nested"])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, kind):
    bomb, path = Bomb(), tmp_path / "weights.pt"
    bomb.target = tmp_path / "exploded"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(bomb))
    else:
        torch.save(
            {"state_dict": {"a": torch.ones(1), "b": bomb}} if kind == "nested" else bomb, path
        )
    with pytest.raises(WeightsError, match=r"refused: it holds .*; nothing was run"):
        load_clip(CONFIG, weights=path)
    assert not bomb.target.exists()


def test_an_archive_is_read_as_data(archive, tmp_path):
    """Any class or function that is not a tensor, dictionary or module name is refused."""
    import zipfile

    bomb = Bomb()
    bomb.target = tmp_path / "exploded"
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(
                name, pickle.dumps(bomb) if name.endswith("/data.pkl") else source.read(name)
            )
    with pytest.raises(WeightsError, match=r"open.*nothing in it was run"):
        load_clip(CONFIG, weights=path)
    assert not bomb.target.exists()


@pytest.mark.parametrize("kind", ["safetensors", "pt", "archive"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.98])
def test_truncated_files_are_refused(state, tmp_path, archive, kind, share):
    path = tmp_path / ("cut.safetensors" if kind == "safetensors" else "cut.pt")
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "pt":
        torch.save(state, path)
    else:
        path.write_bytes(archive.read_bytes())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match=r"not a (complete|readable)"):
        load_clip(CONFIG, weights=path)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"0" * 64, b"PK\x03\x04 not a zip"]
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_files_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"thing{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="thing"):
        load_clip(CONFIG, weights=path)


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2], torch.ones(3), {"state_dict": {}}])
def test_files_without_named_tensors_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="no named tensors"):
        read_state(tmp_path / "x.pt")


def test_weights_of_another_model_are_refused_with_names_and_shapes(state, tmp_path):
    wrong = {k: v for k, v in state.items() if k != "ln_final.bias"}
    wrong["visual.proj"] = torch.zeros(32, 99)
    wrong["extra"] = torch.zeros(1)
    save_file(wrong, tmp_path / "w.safetensors")
    with pytest.raises(
        WeightsError,
        match=r"w\.safetensors.*1 missing: ln_final\.bias.*1 unknown: extra.*visual\.proj \(32, 99\)",
    ):
        load_clip(CONFIG, weights=tmp_path / "w.safetensors")
    clip = load_clip(CONFIG, weights=None)
    before = {k: v.clone() for k, v in clip.state_dict().items()}
    with pytest.raises(WeightsError, match="does not fit"):
        clip.load_state_dict(wrong)
    equal_weights(clip, before)


@pytest.mark.parametrize(
    "name",
    [
        "RN50",
        "ViT-B-16-SigLIP",
        "ViT-H-14-CLIPA",
        "coca_ViT-B-32",
        "EVA02-B-16",
        "roberta-ViT-B-32",
    ],
)
def test_other_families_are_refused_with_the_reason(name):
    with pytest.raises(WeightsError, match=rf"{name}.*only plain CLIP.*in the way: \w+"):
        backbone._build(open_clip.get_model_config(name), name, "meta")


def test_wrong_sources_and_sizes(tmp_path):
    with pytest.raises(FileNotFoundError, match="'ViT-Q-14' is not a source"):
        load_clip("ViT-Q-14", weights=None)
    with pytest.raises(FileNotFoundError, match=r"no such tag; tags: .*openai"):
        load_clip("ViT-B-32", weights="laion9b")
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt"):
        load_clip(CONFIG, weights=tmp_path / "nothing.pt")
    with pytest.raises(WeightsError, match="embed_dim, vision_cfg and text_cfg"):
        load_clip({"embed_dim": 3}, weights=None)
    with pytest.raises(WeightsError, match="image_size = 30 is not a multiple of the patch size 7"):
        load_clip(CONFIG, weights=None, image_size=30)
    with pytest.raises(WeightsError, match="open_clip cannot build"):
        load_clip({**CONFIG, "vision_cfg": {"depth": 3}}, weights=None)
