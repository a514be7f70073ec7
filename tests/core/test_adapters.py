"""adapters.py: stated shapes and counts, names of the public checkpoints, starts, and the mix."""

import pytest
import torch
import torch.nn.functional as F

from aaclip_lite.adapters import Adapter, Projection, image_adapters, mix, text_adapters
from aaclip_lite.recipe import Recipe

COURSE, DOCUMENTED, RELEASED = Recipe.course(), Recipe.documented(), Recipe.released()


def vit_l(recipe):
    """The adapters that ViT-L/14-336 gets, without building it."""
    depths = recipe.resolve(24, 12)
    text = text_adapters(recipe, 768, 768, len(depths.text_blocks))
    return text, image_adapters(recipe, 1024, 768, len(depths.image_blocks), len(depths.levels))


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_released_counts_and_names():
    text, image = vit_l(RELEASED)
    assert (count(text), count(image), count(text) + count(image)) == (
        2_359_296,
        10_223_616,
        12_582_912,
    )
    assert {k: tuple(v.shape) for k, v in text.state_dict().items()} == {
        f"{i}.fc.0.weight": (768, 768) for i in range(4)
    }
    expected = {f"layer_adapters.{i}.fc.0.weight": (1024, 1024) for i in range(6)}
    expected |= {f"seg_proj.{i}.fc.weight": (768, 1024) for i in range(4)} | {
        "det_proj.fc.weight": (768, 1024)
    }
    assert {k: tuple(v.shape) for k, v in image.state_dict().items()} == expected


def test_released_relu_flag_changes_the_key():
    _, image = vit_l(RELEASED.replace(proj_relu=True))
    assert (
        "seg_proj.3.fc.0.weight" in image.state_dict()
        and "det_proj.fc.0.weight" in image.state_dict()
    )


def test_documented_shapes_and_counts():
    text, image = vit_l(DOCUMENTED)
    # 15 modules with det_proj
    assert len(text) == 4 and len(image["layer_adapters"]) == 6 and len(image["seg_proj"]) == 4
    for adapter, wide, narrow in ((text[0], 768, 384), (image["layer_adapters"][0], 1024, 512)):
        down, act, up = adapter.fc
        assert (down.in_features, down.out_features, up.in_features, up.out_features) == (
            wide,
            narrow,
            narrow,
            wide,
        )
        assert act.negative_slope == 0.2
    linear, act = image["det_proj"].fc
    assert (linear.in_features, linear.out_features, act.negative_slope) == (1024, 768, 0.2)
    # The document says "~2M", "~8M" and "~10M". Its own shapes give these, which is the reading
    # taken.
    assert (count(text), count(image)) == (2_363_520, 10_236_672)


@pytest.mark.parametrize("recipe", [DOCUMENTED, RELEASED])
def test_xavier_start(recipe):
    torch.manual_seed(0)
    for module in vit_l(recipe):
        for name, p in module.named_parameters():
            if p.ndim == 2:
                bound = (6 / (p.shape[0] + p.shape[1])) ** 0.5
                assert bound * 0.999 < p.abs().max().item() <= bound, name


@pytest.mark.parametrize("kind", ["linear", "bottleneck"])
def test_identity_start_changes_nothing_and_still_learns(kind):
    adapter, x = (
        Adapter(8, COURSE.replace(adapter=kind, adapter_init="identity")),
        torch.randn(2, 5, 8),
    )
    torch.testing.assert_close(mix(x, adapter(x), 0.3), x)
    optimizer = torch.optim.Adam(adapter.parameters(), lr=0.05)
    target = x.roll(1, dims=-1)
    start = (adapter(x) - target).square().mean().item()
    for _ in range(60):
        optimizer.zero_grad()
        loss = (adapter(x) - target).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * start


def test_projection_can_start_as_clips_own():
    own, x = torch.randn(8, 6), torch.randn(3, 8)
    for relu in (False, True):
        started = Projection(8, 6, COURSE, relu).start_from(own)
        expected = F.leaky_relu(x @ own, COURSE.adapter_slope) if relu else x @ own
        torch.testing.assert_close(started(x), expected)
    projection = image_adapters(COURSE, 8, 6, 1, 1, own)["det_proj"]
    torch.testing.assert_close(projection(x), x @ own)
    assert not torch.allclose(image_adapters(RELEASED, 8, 6, 1, 1, own)["det_proj"](x), x @ own)
    assert projection.fc.weight.data_ptr() != own.data_ptr()  # a copy: CLIP's own must not train


def test_mix_by_hand():
    x, a = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.5]])
    torch.testing.assert_close(mix(x, a, 0.1), torch.tensor([[2.7, 0.1 * 5 + 3.6]]))
    assert torch.equal(mix(x, a, 0.0), x)


def test_gradient_flows_through_the_norms():
    x = torch.randn(2, 3, dtype=torch.double).requires_grad_()
    a = torch.randn(2, 3, dtype=torch.double).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, a: mix(x, a, 0.1), (x, a))
