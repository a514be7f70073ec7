"""model.py: shapes, anchors, what trains, seams, loading of released
state dicts.
"""

import pytest
import torch
import torch.nn.functional as F

from aaclip_lite import losses
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP, stack_anchors
from aaclip_lite.prompts import sentences
from aaclip_lite.recipe import Recipe
from tests import tiny

CONFIG = tiny.config(
    embed_dim=24,
    vision={"image_size": 28, "layers": 8, "width": 32, "head_width": 16, "patch_size": 7},
    text={"context_length": 32, "layers": 4},
)
COURSE, DOCUMENTED, RELEASED = Recipe.course(), Recipe.documented(), Recipe.released()
OPTIONS = {
    "placement": {"image_blocks": (2, 5, 8), "text_blocks": (4,)},
    "two levels": {"levels": (3, 8)},
    "linear": {"adapter": "linear", "text_head": "relu", "proj_relu": True},
    "no adapters in the blocks": {"image_blocks": 0, "text_blocks": 0},
}


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    clip = load_clip(CONFIG, weights=None)
    clip.load_state_dict({k: v + 0.05 * torch.randn_like(v) for k, v in clip.state_dict().items()})
    return clip


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))


def build(clip, recipe=COURSE, seed=0, **changes):
    torch.manual_seed(seed)
    return AdaptedCLIP(clip, recipe.replace(**changes))


@pytest.mark.parametrize("recipe", [COURSE, DOCUMENTED, RELEASED], ids=lambda recipe: recipe.name)
def test_shapes_and_lengths(clip, images, recipe):
    model = build(clip, recipe)
    features = model(images)
    assert [level.shape for level in features.levels] == [
        (2, 16, 24)
    ] * 4 and features.detection.shape == (2, 24)
    for level in features.levels:
        torch.testing.assert_close(level.norm(dim=-1), torch.ones(2, 16))
    assert (features.detection.norm(dim=-1) < 1).all()  # a mean of unit vectors, not renormalised
    torch.testing.assert_close(features.patches.norm(dim=-1), torch.ones(2, 16))
    torch.testing.assert_close(features.patches.mean(1), features.detection)
    anchors = model.text_anchors(["bottle", "metal_nut"])
    assert {name: anchor.shape for name, anchor in anchors.items()} == {
        "bottle": (24, 2),
        "metal_nut": (24, 2),
    }
    torch.testing.assert_close(anchors["bottle"].norm(dim=0), torch.ones(2))


def test_level_tokens_are_read_after_the_adapter(clip, images):
    # The document counts "level 6" once as layer 6 without adapter (index 6) and once among the
    # adapted 0..5. Taken is the second reading, the public code's: level n is what block n puts
    # out, its adapter applied.
    model = build(clip, RELEASED, levels=(2,), image_blocks=2)
    raw = clip.image_tokens(images, (1,))[0]
    adapters = model.image_adapter["layer_adapters"]

    def adapted(x, adapter):
        a = adapter(x)
        return 0.1 * a * x.norm(dim=-1, keepdim=True) / a.norm(dim=-1, keepdim=True) + 0.9 * x

    x = clip._block(clip.visual.transformer.resblocks[1], adapted(raw, adapters[0]))
    x = clip.ln_post(adapted(x, adapters[1]))[:, 1:]
    expected = F.normalize(model.image_adapter["seg_proj"][0](x), dim=-1)
    torch.testing.assert_close(model(images).levels[0], expected)
    detection = F.normalize(model.image_adapter["det_proj"](x), dim=-1).mean(1)
    torch.testing.assert_close(model(images).detection, detection)


@pytest.mark.parametrize("recipe", [COURSE, DOCUMENTED, RELEASED], ids=lambda recipe: recipe.name)
def test_anchors_equal_their_definition(clip, recipe):
    model = build(clip, recipe)
    normal, abnormal = sentences("pill", recipe.states, recipe.templates, recipe.names)
    means = [
        F.normalize(F.normalize(model.encode_text(s), dim=-1).mean(0), dim=-1)
        for s in (normal, abnormal)
    ]
    torch.testing.assert_close(model.text_anchors(["pill"])["pill"], torch.stack(means, dim=1))
    together = model.text_anchors(["bottle", "pill", "zipper"])
    torch.testing.assert_close(together["pill"], torch.stack(means, dim=1), rtol=1e-4, atol=1e-5)


def test_words_of_ones_own(clip):
    model = build(clip, RELEASED)
    own = model.text_anchors({"bolt": "rusty bolt", "bottle": "bottle"})
    assert list(own) == ["bolt", "bottle"]
    torch.testing.assert_close(own["bolt"], model.text_anchors(["rusty_bolt"])["rusty_bolt"])
    # no table: words as given
    assert not torch.allclose(own["bottle"], model.text_anchors(["bottle"])["bottle"])
    assert torch.equal(model.text_anchors("bolt")["bolt"], model.text_anchors(["bolt"])["bolt"])
    assert model.text_anchors([]) == {}


def test_many_sentences_are_encoded_in_pieces(clip, monkeypatch):
    model, names = build(clip), ["bottle", "pill", "screw"]
    whole = model.text_anchors(names)
    monkeypatch.setattr("aaclip_lite.model.CHUNK", 5)
    for name, anchor in model.text_anchors(names).items():
        torch.testing.assert_close(anchor, whole[name], rtol=1e-4, atol=1e-5)


def test_without_text_training_clips_own_text_tower_is_used(clip):
    model = build(clip, RELEASED, text_epochs=0)
    normal, _ = sentences("pill", "released", "released", "real")
    expected = F.normalize(
        F.normalize(clip.with_activation("gelu").encode_text(normal), dim=-1).mean(0), dim=-1
    )
    torch.testing.assert_close(model.text_anchors(["pill"])["pill"][:, 0], expected)
    frozen = build(clip, RELEASED).text_anchors(["pill"], adapted=False)["pill"]
    torch.testing.assert_close(frozen[:, 0], expected)


def test_course_starts_as_clip_itself(clip, images):
    """Identity adapters and CLIP's own projections: nothing is forgotten before the first step."""
    model = build(clip)
    before, after = (
        model.text_anchors(["bottle"], adapted=flag)["bottle"] for flag in (False, True)
    )
    torch.testing.assert_close(after, before)
    tokens = clip.image_tokens(images, model.depths.levels)
    for level, own in zip(model(images).levels, tokens, strict=True):
        torch.testing.assert_close(level, F.normalize(clip.visual_head(own[:, 1:]), dim=-1))


@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS.keys())
def test_every_option_trains_every_weight_of_its_stage_and_no_other(clip, images, changes):
    model = build(clip, adapter_init="xavier", **changes)
    mask, label = torch.zeros(2, 1, 28, 28), torch.tensor([0, 1])
    mask[1, :, 5:15, 5:15] = 1
    frozen = {k: v.clone() for k, v in model.clip.state_dict().items()}
    for stage in ("text", "image"):
        model.zero_grad()
        before = {k: v.clone() for k, v in model.named_parameters()}
        optimizer, values = torch.optim.Adam(model.trainable(stage).values(), lr=1e-3), []
        for _ in range(3):
            anchors = stack_anchors(model.text_anchors(["bottle", "pill"]), ["bottle", "pill"])
            if stage == "text":
                loss = losses.stage1(model.dense_features(images), anchors, mask, model.recipe)
            else:
                loss = losses.stage2(model(images), anchors.detach(), mask, label, model.recipe)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        assert values[-1] < values[0]
        moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        assert moved == set(model.trainable(stage))
    assert all(torch.equal(v, frozen[k]) for k, v in model.clip.state_dict().items())


def test_trainable_names_are_the_public_ones(clip):
    model = build(clip, RELEASED, image_blocks=2, text_blocks=2)
    assert list(model.trainable("text")) == [f"text_adapter.{i}.fc.0.weight" for i in range(3)]
    with pytest.raises(ValueError, match="stage = 'words'"):
        model.trainable("words")


def test_recipe_decides_the_activation_without_touching_the_clip(clip, images):
    model = build(clip, COURSE.replace(activation="quick_gelu"))
    assert (model.clip.activation, clip.activation) == ("quick_gelu", "gelu")
    assert model.clip.visual.proj is clip.visual.proj
    assert not torch.allclose(model(images).detection, build(clip)(images).detection, rtol=1e-4)


def test_recipe_decides_the_normalisation(clip):
    pictures = torch.rand(1, 3, 28, 28)
    torch.testing.assert_close(
        build(clip, DOCUMENTED).preprocess(pictures), clip.preprocess(pictures, "imagenet")
    )


def test_released_state_dicts(clip, images):
    source, target = build(clip, RELEASED, seed=1), build(clip, RELEASED, seed=2)
    text, image = source.text_adapter.state_dict(), source.image_adapter.state_dict()
    target.load_released(text, None)
    torch.testing.assert_close(
        target.text_anchors(["pill"])["pill"], source.text_anchors(["pill"])["pill"]
    )
    assert not torch.allclose(target(images).detection, source(images).detection)
    target.load_released({"epoch": 5, "text_adapter": text}, {"epoch": 20, "image_adapter": image})
    torch.testing.assert_close(target(images).detection, source(images).detection)


@pytest.mark.parametrize(
    "changes, name",
    [
        ({"proj_relu": True}, r"seg_proj\.0\.fc\.0\.weight is missing"),
        ({"levels": (4, 8)}, r"seg_proj\.2\.fc\.weight"),
        ({"image_blocks": 3}, r"layer_adapters\.2\.fc\.0\.weight"),
    ],
)
def test_released_state_dicts_of_another_shape_are_refused_whole(clip, changes, name):
    source, target = build(clip, RELEASED, seed=1), build(clip, RELEASED, seed=2, **changes)
    before = {k: v.clone() for k, v in target.image_adapter.state_dict().items()}
    with pytest.raises(ValueError, match=f"{name}.*proj_relu, text_head, levels"):
        target.load_released(None, source.image_adapter.state_dict())
    assert all(torch.equal(v, before[k]) for k, v in target.image_adapter.state_dict().items())


def test_stack_anchors_names_what_is_missing():
    anchors = {"a": torch.zeros(3, 2), "b": torch.ones(3, 2)}
    assert torch.equal(stack_anchors(anchors, ["b", "a"])[0], torch.ones(3, 2))
    with pytest.raises(KeyError, match="no text anchors for c"):
        stack_anchors(anchors, ["a", "c"])


def test_gradients_of_words_are_the_same_in_every_run():
    """With several threads too: sentences share rows, and what they send back must add up in one
    order.
    """
    model, threads = AdaptedCLIP(load_clip("lite")), torch.get_num_threads()
    model.requires_grad_(False)
    weights = [p.requires_grad_() for p in model.trainable("text").values()]
    found = []
    try:
        torch.set_num_threads(2)
        for _ in range(4):
            anchors = model.text_anchors(
                ["bottle", "cable", "hazelnut", "wood", "tile", "screw"]
            ).values()
            cosines = torch.stack([(a[:, 0] * a[:, 1]).sum() for a in anchors])
            found.append(
                torch.cat([g.flatten() for g in torch.autograd.grad(cosines.sum(), weights)])
            )
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], each) for each in found[1:])


def test_a_subclass_changes_a_seam_and_nothing_else(clip, images):
    class Changed(AdaptedCLIP):
        def fuse(self, levels):
            return tuple(2 * level for level in levels)

        def pool(self, detection):
            return detection[:, 0]

    torch.manual_seed(0)
    changed = Changed(clip, COURSE)(images)
    plain = build(clip)(images)
    for mine, theirs in zip(changed.levels, plain.levels, strict=True):
        torch.testing.assert_close(mine, 2 * theirs)
    torch.testing.assert_close(changed.detection.norm(dim=-1), torch.ones(2))
    assert not torch.allclose(changed.detection, plain.detection)
    assert torch.equal(changed.patches, plain.patches)
