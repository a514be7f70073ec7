"""Words that look at pictures, and pictures that look at words: attention between the two towers.

Special: three versions of the residual, as the reports' project tried them one after the other.
Use: `model = CrossAttentionCLIP(clip, recipe, version="v3")`, `load_base(model, "runs/a")`; it
trains with the same `train_text` and `train_image` as the method.
"""

from .. import load_base as load_base
from .attention import *  # noqa: F403
from .feedback import feed_back as feed_back
from .model import CrossAttentionCLIP as CrossAttentionCLIP
from .model import CrossAttentionCLIP as Model  # noqa: F401 (what a file's header builds)
