"""Words that look at pictures, and pictures that look at words: attention between the two towers.

Special: three versions of the residual, as the reports' project tried them one after the other.
Use: `model = CrossAttentionCLIP(clip, recipe, version="v3")`, `load_base(model, "runs/a")`; it
trains with the same `train_text` and `train_image` as the method.
"""

from .attention import (
    VERSIONS,
    CrossAttention,
    add_context,
    count_parameters,
    cross_attention,
    prepare_context,
)
from .model import CrossAttentionCLIP, load_base

Model = CrossAttentionCLIP

__all__ = [
    "VERSIONS",
    "CrossAttention",
    "CrossAttentionCLIP",
    "Model",
    "add_context",
    "count_parameters",
    "cross_attention",
    "load_base",
    "prepare_context",
]
