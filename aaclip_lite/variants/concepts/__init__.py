"""Concepts with boxes and prototypes: "reject this: the spot looks like that crack". See README.md.

Use: `from aaclip_lite.variants import concepts`.
"""
# ruff: noqa: F401

from .boxes import box_loss, box_mask
from .checks import check_columns, gradient_monitor
from .losses import assigned_loss, concept_loss, focal_loss, prototype_floor, prototype_loss
from .prototypes import local_vectors, similarity_maps, similarity_scores, similarity_stats
from .system import Batch, ConceptModel, train
