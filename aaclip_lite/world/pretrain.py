"""How the embedded CLIP was made: an ordinary open_clip model, trained from scratch on the factory.

Worker processes draw pictures into a pool on disk; every picture is replayed a few times, mirrored
and with a caption drawn anew, so that the renderer is never the brake. `clip/losses.py` describes
the five losses. No picture ever shows damage to a test or validation product, and damage words
appear in a share of `damage_share` of the captions of training products. Runs are resumable and
log JSON lines. This file gathers the public names of `clip/`.

    python -m aaclip_lite lab pretrain --minutes 60 --out runs/pretrain
    python -m aaclip_lite lab pretrain --warm-start data/lite_clip --minutes 300   # goes on from its
    249 minutes
"""

from .clip.batches import MEAN, STD, make_batch
from .clip.learner import Learner
from .clip.losses import losses
from .clip.options import CHANGING, HARD_THINGS, LEVELS, MODEL, REGIONS, Pretraining, levels_of
from .clip.pool import Pool
from .clip.run import Run, export, native_bf16, run
from .clip.words import DAMAGE_WORDS, misplaced, vocabulary

__all__ = [
    "CHANGING",
    "DAMAGE_WORDS",
    "HARD_THINGS",
    "LEVELS",
    "MEAN",
    "MODEL",
    "REGIONS",
    "STD",
    "Learner",
    "Pool",
    "Pretraining",
    "Run",
    "export",
    "levels_of",
    "losses",
    "make_batch",
    "misplaced",
    "native_bf16",
    "run",
    "vocabulary",
]
