"""Area 10, the order of training: both stages at once, in turns, from easy to hard."""

import torch

from ...model import AdaptedCLIP
from ...train import History, endless, free, learning_rate, step
from .plug import idea, two_stages


def joint(model, data, steps, seed):
    """Words and patches in one step: the image loss reaches the words, the text loss beside it."""
    weights = free(model, "text") | dict(model.trainable("image"))
    for weight in weights.values():
        weight.requires_grad_()
    words = list(model.trainable("text").values())
    patches = list(model.trainable("image").values())
    groups = [{"params": words}, {"params": patches}]
    optimizer = torch.optim.Adam(groups, betas=model.recipe.betas)
    history = History("joint")
    batches = endless(data, model.recipe, "image", seed)
    for number, batch in zip(range(max(steps.values())), batches, strict=False):
        for group, stage in zip(optimizer.param_groups, ("text", "image"), strict=True):
            group["lr"] = learning_rate(model.recipe, stage, number)
        anchors = model.batch_anchors(batch["class_name"], batch)
        parts = step(model, batch, anchors, "image")
        parts |= {f"text {k}": v for k, v in step(model, batch, anchors, "text").items()}
        loss = sum(parts.values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.rows.append({"step": number + 1, "loss": float(loss.detach())})
    return [history]


def alternating(model, data, steps, seed, rounds: int = 5):
    rounds = min(rounds, *steps.values())
    each = {stage: count // rounds for stage, count in steps.items()}
    return [h for n in range(rounds) for h in two_stages(model, data, each, seed + n)]


def curriculum(model, data, steps, seed):
    """Large defects first: a third of the steps on the easier half, the rest on all."""
    first = {stage: count // 3 for stage, count in steps.items()}
    rest = {stage: count - first[stage] for stage, count in steps.items()}
    easier = two_stages(model, easy_half(data), first, seed)
    return easier + two_stages(model, data, rest, seed + 1)


def easy_half(data):
    """Of every class the defects of above-median area, and all sound parts."""
    sizes = {}
    for number, record in enumerate(data.records):
        if record.label:
            sizes[number] = int((data[number].mask > 0).sum())
    middle = sorted(sizes.values())[len(sizes) // 2]
    records = [r for n, r in enumerate(data.records) if not r.label or sizes[n] >= middle]
    return data.view(records)


for _name, _fit in (("joint", joint), ("in turns", alternating), ("easy first", curriculum)):
    idea(_name, area=10, fit=_fit)(AdaptedCLIP)
