"""Concepts with boxes and prototypes: "reject this: the spot looks like that crack". See README.md."""
# ruff: noqa: F401

from .checks import check_columns, gradient_monitor
from .losses import box_loss, box_mask, concept_loss, focal_loss, prototype_floor, prototype_loss
from .prototypes import local_vectors, similarity_maps, similarity_scores, similarity_stats
from .system import Batch, ConceptModel, assigned_loss, train
