"""memory.py: the formula against what torch keeps, and the batches that it says fit a card."""

import sys

import pytest
import torch

from aaclip_lite import losses
from aaclip_lite.lab import bench, costs, work
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from aaclip_lite.recipe import Recipe
from aaclip_lite.service import memory

TINY = {
    "embed_dim": 48,
    "vision_cfg": {"image_size": 112, "layers": 8, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
RELEASED = Recipe.released()
RECIPES = {
    "released": RELEASED,
    "QuickGELU": RELEASED.replace(activation="quick_gelu"),
    "course": Recipe.course(),
    "late": RELEASED.replace(image_blocks=(3, 5), levels=(4, 7)),
}


def build(recipe):
    return AdaptedCLIP(load_clip(TINY, weights=None), recipe)


def kept(model, pictures, half):
    """Bytes that the forward pass of stage 2 keeps for the backward pass, weights and their half
    copies apart.
    """
    held, own = (
        {},
        {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())},
    )
    matrices = {tuple(p.shape) for p in model.clip.parameters() if p.ndim == 2}
    matrices |= {shape[::-1] for shape in matrices}
    all_held = []  # so that no storage is used twice

    def hold(t):
        all_held.append(t)
        storage = t.untyped_storage()
        if storage.data_ptr() not in own and not (
            t.dtype == torch.bfloat16 and tuple(t.shape) in matrices
        ):
            held[storage.data_ptr()] = storage.nbytes()
        return t

    size, clip = model.clip.image_size, model.clip
    torch.manual_seed(0)
    x = clip.preprocess(torch.rand(pictures, 3, size, size))
    mask = torch.zeros(pictures, 1, size, size)
    mask[:, :, 9:30, 9:30] = 1
    own_words = torch.nn.functional.normalize(torch.randn(pictures, clip.embed_dim, 2), dim=1)
    model.requires_grad_(False)
    for p in model.trainable("image").values():
        p.requires_grad_()
    with (
        torch.autograd.graph.saved_tensors_hooks(hold, lambda t: t),
        torch.autocast("cpu", torch.bfloat16, enabled=half),
    ):
        losses.stage2(
            model(x), own_words, mask, torch.ones(pictures, dtype=torch.long), model.recipe
        )
    return sum(held.values())


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_formula_counts_what_the_pass_keeps(recipe, half):
    model = build(RECIPES[recipe])
    formula = memory.stage2(model, 3, half)
    copies = half * 24 * 64**2 * (max(model.depths.levels) - model.depths.image_blocks[0])
    assert formula.kept + formula.maps - copies == pytest.approx(kept(model, 3, half), rel=0.12)


@pytest.mark.parametrize("recipe", RECIPES)
def test_with_checkpointing_only_the_inputs_of_blocks_are_kept(recipe):
    model = build(RECIPES[recipe])
    model.clip.checkpointing = True
    formula = memory.stage2(model, 3, checkpointing=True)
    assert formula.kept + formula.maps == pytest.approx(kept(model, 3, False), rel=0.12)
    assert formula.step < memory.stage2(model, 3).step


def test_weights_and_training_are_counted_exactly():
    model = build(Recipe.course())
    count = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.image_adapter.parameters())
    found = memory.stage2(model, 2)
    assert (found.weights, found.training) == (4 * count, 12 * trained)
    assert found.total == found.weights + found.training + found.kept + max(
        found.maps, found.at_work
    )


def test_a_card_gets_the_largest_batch_that_fits_without_checkpointing_first():
    model = build(Recipe.released())
    need = {
        (n, c): memory.stage2(model, n, True, c).total for n in (1, 2, 4, 8) for c in (False, True)
    }
    assert need[1, True] < need[1, False] < need[2, False]
    for card, expected in (
        (need[8, False], (8, 1, False)),
        (need[4, False], (4, 2, False)),
        (need[1, False] - 1, (1, 8, True)),
    ):
        found = memory.profile(model, 8, card)
        assert (found["image_batch"], found["accumulate"], found["checkpointing"]) == expected, card
        assert found["bytes"] == need[expected[0], expected[2]] <= card
    with pytest.raises(ValueError, match="one picture with checkpointing needs"):
        memory.profile(model, 8, card=1000)


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of a step are read from /proc")
def test_a_measured_peak_is_near_the_formula(monkeypatch, capsys):
    """In a process of its own, the reduced model of the bench: two pictures with and without
    checkpointing.
    """
    for checkpointing in (False, True):
        call = f"costs.step_peak(False, 2, False, {checkpointing})"
        measured = costs.elsewhere(call, MALLOC_MMAP_THRESHOLD_="65536", **bench.SINGLE_THREADED)
        model = AdaptedCLIP(
            load_clip(work.REDUCED, weights=None, image_size=336), Recipe.released()
        )
        formula = memory.stage2(model, 2, checkpointing=checkpointing).step / 2**20
        assert formula == pytest.approx(measured, rel=0.25), checkpointing
