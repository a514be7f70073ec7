"""What a detector says of parts, large: the photograph, its anomaly map laid over, the outline of
the true defect, the verdict in words.

Use: `detections(pictures, maps, masks, titles)`
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .plots import outline
from .style import ENDS, placed

LOW = 1.0  # deviations above normal where the map begins to show
HIGH = ENDS[1]  # and where it is full
# inches: a picture's side, the gap between two, the room for a title of two lines
SIDE = 2.0
GAP = 0.06
HEAD = 0.5


def overlay(picture: np.ndarray, anomaly_map: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3) and a map (H, W) in deviations -> the map in red over the photograph."""
    share = ((anomaly_map - LOW) / (HIGH - LOW)).clip(0, 1)[..., None] * 0.65
    grey = picture.astype(float)
    red = np.array((230.0, 30.0, 20.0))
    return (grey * (1 - share) + red * share).astype(np.uint8)


def detections(
    pictures: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    masks: Sequence[np.ndarray | None],
    titles: Sequence[str],
    columns: int = 4,
) -> Figure:
    """Two rows a line of parts: as photographed, and with what the detector sees."""
    step = HEAD + 2 * (SIDE + GAP)
    figure, axes = placed(columns * (SIDE + GAP) + GAP, -(-len(pictures) // columns) * step)
    for i, picture in enumerate(pictures):
        line, column = divmod(i, columns)
        left, top = GAP + column * (SIDE + GAP), line * step + HEAD
        above = axes(left, top, SIDE, SIDE)
        above.imshow(picture)
        above.set_title(titles[i].replace("_", " "), fontsize=9)
        below = axes(left, top + SIDE + GAP, SIDE, SIDE)
        below.imshow(overlay(picture, maps[i]))
        if masks[i] is not None:
            outline(below, masks[i])
        for ax in (above, below):
            ax.set_axis_off()
    return figure
