"""Area 2, small batches, of which S1 complains: gradients added up over several, and half precision."""

import torch

from ...model import AdaptedCLIP
from ...train import History, endless, free, learning_rate, step
from .plug import idea


def stage(model, data, name: str, steps: int, seed: int, parts: int = 1, half: bool = False):
    """The plain loop; each step takes `parts` batches, or computes in bfloat16 where that is safe."""
    weights = free(model, name)
    optimizer = torch.optim.Adam(weights.values(), betas=model.recipe.betas)
    batches = endless(data, model.recipe, name, seed)
    anchors = None if name == "text" else _fixed(model, data)
    history = History(name)
    for number in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(model.recipe, name, number)
        optimizer.zero_grad()
        value = 0.0
        for batch, _ in zip(batches, range(parts), strict=False):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = sum(step(model, batch, anchors, name).values()) / parts
            loss.backward()
            value += float(loss.detach())
        optimizer.step()
        history.rows.append({"step": number + 1, "lr": group["lr"], "loss": value})
    return history


def _fixed(model, data):
    return {name: anchor.detach() for name, anchor in model.text_anchors(data.classes).items()}


def _fit(**options):
    def fit(model, data, steps, seed):
        return [stage(model, data, name, steps[name], seed, **options) for name in steps]

    return fit


@idea("batches of 2", area=2, fit=_fit())
def small(clip, recipe):
    return AdaptedCLIP(clip, recipe.replace(image_batch=2))


@idea("batches of 2, 8 added up", area=2, fit=_fit(parts=8))
def added_up(clip, recipe):
    return AdaptedCLIP(clip, recipe.replace(text_batch=2, image_batch=2))


@idea("bfloat16", area=2, fit=_fit(half=True))
def half_precision(clip, recipe):
    return AdaptedCLIP(clip, recipe)
