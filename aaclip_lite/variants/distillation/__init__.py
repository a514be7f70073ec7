"""A teacher's patch map handed down to a student of 1,297 weights: the system of report S3."""

from .diagnosis import auc, diagnose_maps, gradient_norms
from .filters import diagonal_filter, npr
from .losses import WEIGHTS, distill
from .pooling import align, top_k, top_k_pool
from .student import TinyStudent, count_parameters, freeze
from .training import train

__all__ = ["WEIGHTS", "TinyStudent", "align", "auc", "count_parameters", "diagnose_maps"]
__all__ += ["diagonal_filter", "distill", "freeze", "gradient_norms", "npr", "top_k"]
__all__ += ["top_k_pool", "train"]
