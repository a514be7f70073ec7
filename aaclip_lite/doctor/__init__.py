"""What is wrong with a checkpoint, a detector's folder, a log, a data set, pictures, losses,
gradients, words: each question is a function.

Use: `aa.doctor.checkpoint("runs/a/text.safetensors")`, `aa.doctor.log("runs/a")`,
`aa.doctor.dataset(data)`; what numbers mean before training: `aa.doctor.statistics`.
"""

from . import statistics
from .balance import gradients, losses
from .data import dataset, parts
from .detectors import detector
from .finding import Finding
from .logs import log
from .weights import checkpoint
from .words import anchors, scales

__all__ = [
    "Finding",
    "anchors",
    "checkpoint",
    "dataset",
    "detector",
    "gradients",
    "log",
    "losses",
    "parts",
    "scales",
    "statistics",
]
