"""Contrastive fine-tuning with weighted negatives, and retrieval judged honestly: README.md."""

from .loss import *  # noqa: F403 - the names are those of the five short files beside this one
from .retrieval import *  # noqa: F403
from .simulated import *  # noqa: F403
from .train import *  # noqa: F403
from .weights import *  # noqa: F403
