"""What a detector says of parts, large: the photograph, its anomaly map laid over, the outline of
the true defect, the verdict in words.

Use: `detections(pictures, maps, masks, titles)`
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .plots import outline

LOW = 1.0  # deviations above normal where the map begins to show
HIGH = 6.0  # and where it is full


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
    lines = -(-len(pictures) // columns)
    size = (2.1 * columns, 4.6 * lines)
    figure, axes = plt.subplots(2 * lines, columns, figsize=size, facecolor="white", squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for i, picture in enumerate(pictures):
        line, column = divmod(i, columns)
        above = axes[2 * line, column]
        below = axes[2 * line + 1, column]
        above.imshow(picture)
        above.set_title(titles[i], fontsize=9)
        below.imshow(overlay(picture, maps[i]))
        if masks[i] is not None:
            outline(below, masks[i])
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.94, 0.04, 0.12)
    plt.close(figure)
    return figure
