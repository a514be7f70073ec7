"""Ideas for a better AA-CLIP, each a plug-in: tried in chapter 13, kept out of the method."""

from .separation import contrastive, map_top, triplet

__all__ = ["contrastive", "map_top", "triplet"]
