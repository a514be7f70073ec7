"""The feedback loop: both stages again and again, the words looking at what the pictures learned.

Use: `feed_back(model, data, loops=3, text_steps=20, image_steps=40)`
"""

from ...datasets import AnomalyDataset
from ...train import History, endless, train
from .model import CrossAttentionCLIP


def feed_back(
    model: CrossAttentionCLIP,
    data: AnomalyDataset,
    loops: int,
    text_steps: int,
    image_steps: int,
    decay: float = 0.5,
    seed: int = 0,
) -> list[History]:
    """Histories of stage 1 and 2 of every round. decay: of the learning rates, by round."""
    recipe = model.recipe
    histories = []
    for number in range(loops):
        model.feedback = number > 0  # in the first round the image side knows nothing yet
        rates = {name: getattr(recipe, name) * decay**number for name in ("text_lr", "image_lr")}
        model.recipe = recipe.replace(**rates)
        batches = endless(data, recipe, "text", seed + number)
        histories.append(train(model, batches, "text", text_steps))
        anchors = model.text_anchors(data.classes)
        batches = endless(data, recipe, "image", seed + number)
        histories.append(train(model, batches, "image", image_steps, anchors))
    model.recipe = recipe
    return histories
