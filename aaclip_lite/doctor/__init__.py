"""What is wrong with a checkpoint, a data set, losses, gradients, words: each question is a
function.

Use: `aa.doctor.checkpoint("runs/a/text.safetensors")`, `aa.doctor.dataset(data)`.
"""

from . import statistics
from .examine import Finding, anchors, checkpoint, dataset, gradients, losses, scales

__all__ = [
    "Finding",
    "anchors",
    "checkpoint",
    "dataset",
    "gradients",
    "losses",
    "scales",
    "statistics",
]
