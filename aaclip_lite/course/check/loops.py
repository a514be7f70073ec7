"""A learner's training loop against the package's, on a model of milliseconds."""

from collections.abc import Callable

import torch

from ...load import load_clip
from ...model import AdaptedCLIP
from ...recipe import Recipe
from ...train import free, learning_rate, step, train
from .judge import Hint

CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 2, "width": 16, "head_width": 8, "patch_size": 4},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}
STEPS = 4


def _model() -> AdaptedCLIP:
    torch.manual_seed(0)
    clip = load_clip(CONFIG, weights=None)
    recipe = Recipe.course().replace(adapter_init="xavier", milestones=(2,), lr_factor=0.1)
    return AdaptedCLIP(clip, recipe)


def _batches(count: int = 2 * STEPS) -> list[dict]:
    generator = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(count):
        mask = torch.zeros(4, 1, 16, 16)
        mask[1::2, :, 4:10, 4:10] = 1
        image = 0.4 + 0.2 * torch.rand(4, 3, 16, 16, generator=generator) + 0.3 * mask
        labels = torch.tensor([0, 1, 0, 1])
        names = ["bolt", "cup", "cup", "bolt"]
        batches.append({"image": image, "mask": mask, "label": labels, "class_name": names})
    return batches


def judge_loop(learner: Callable, stage: str) -> None:
    """Raise a Hint that says what differs from `train.train` after a few steps."""
    theirs = _model()
    anchors = {n: p.detach() for n, p in theirs.text_anchors(["bolt", "cup"]).items()}
    expected = train(theirs, _batches(), stage, STEPS, anchors if stage == "image" else None)
    mine = _model()
    start = {name: p.detach().clone() for name, p in mine.named_parameters()}
    seen = []

    def watched():
        for batch in _batches():
            seen.append(batch)
            yield batch

    losses = learner(mine, watched(), STEPS, *([anchors] if stage == "image" else []))
    moved = {name for name, p in mine.named_parameters() if not torch.equal(p, start[name])}
    strangers = sorted(moved - set(mine.trainable(stage)))
    if strangers:
        raise Hint(f"{strangers[0]} has moved: the stage trains only model.trainable({stage!r})")
    if not moved:
        raise Hint("no weight has moved: is there a backward pass and a step of the optimiser?")
    if len(seen) < STEPS:
        raise Hint(f"{len(seen)} batches were used in {STEPS} steps: one batch a step")
    if len(seen) > STEPS + 1:
        raise Hint(f"{len(seen)} batches were used for {STEPS} steps: stop after `steps` of them")
    if not hasattr(losses, "__len__") or len(losses) != STEPS:
        raise Hint("return a list with the loss of each step")
    if any(isinstance(loss, str) for loss in losses):
        raise Hint("the losses are text: return them as numbers")
    if not _alike(mine, theirs):
        raise Hint(_why(mine, stage))
    told = torch.tensor([float(loss) for loss in losses])
    if not torch.allclose(told, torch.tensor(expected.column("loss")), rtol=1e-4):
        raise Hint("the weights are right, the returned losses are not: one number a step")


def _alike(one: AdaptedCLIP, other: AdaptedCLIP) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(p, q, atol=1e-6) for p, q in pairs)


def _why(mine: AdaptedCLIP, stage: str) -> str:
    """The plausible mistake that ends at the learner's weights."""
    for mistake, words in MISTAKES.items():
        model = _model()
        _mistaken(model, stage, mistake)
        if _alike(mine, model):
            return words.format(stage=stage)
    return "the weights after a few steps are others than the package's: compare line by line"


MISTAKES = {
    "no zero_grad": "gradients of earlier steps add up: clear them before each backward pass",
    "default lr": "the learning rate is Adam's default, not the recipe's ({stage}_lr)",
    "default betas": "Adam's averaging factors are its defaults, not the recipe's betas",
    "constant lr": "the learning rate never falls: aa.train.learning_rate(recipe, stage, step)",
    "first part": "only one part of the loss is minimised: add them all up",
    "mean": "the parts are averaged: add them up",
    "late": "the rate is that of the step before or after: learning_rate counts steps from 0",
    "other lr": "the learning rate is the other stage's: this one has its own",
    "SGD": "plain descent (SGD) moves them: make it Adam",
    "AdamW": "AdamW draws weights towards 0 as well: make it Adam",
}


def _mistaken(model: AdaptedCLIP, stage: str, mistake: str) -> None:
    anchors = {n: p.detach() for n, p in model.text_anchors(["bolt", "cup"]).items()}
    weights = list(free(model, stage).values())
    recipe = model.recipe
    betas = (0.9, 0.999) if mistake == "default betas" else recipe.betas
    other = "image" if stage == "text" else "text"
    rate = learning_rate(recipe, other if mistake == "other lr" else stage, 0)
    if mistake == "SGD":
        optimizer = torch.optim.SGD(weights, rate)
    else:
        kind = torch.optim.AdamW if mistake == "AdamW" else torch.optim.Adam
        optimizer = kind(weights, rate, betas=betas)
    for number, batch in zip(range(STEPS), _batches(), strict=False):
        at = {"constant lr": 0, "other lr": 0, "late": number + 1}.get(mistake, number)
        rate = learning_rate(recipe, other if mistake == "other lr" else stage, at)
        optimizer.param_groups[0]["lr"] = 1e-3 if mistake == "default lr" else rate
        if mistake != "no zero_grad":
            optimizer.zero_grad()
        parts = list(step(model, batch, anchors if stage == "image" else None, stage).values())
        loss = parts[0] if mistake == "first part" else torch.stack(parts).sum()
        loss = loss / len(parts) if mistake == "mean" else loss
        loss.backward()
        optimizer.step()
