"""The figures of a class under their names, exact: six of pixels, three of pictures; and the
interval of such a figure.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from .curves import PRO_LIMIT, Curve, Undefined, exact_curve, peak_hits, region_shares

PIXEL_NAMES = ("pixel_auroc", "pixel_ap", "pixel_f1max", "pixel_pro", "inside_auroc", "peak_hit")
IMAGE_NAMES = ("image_auroc", "image_ap", "image_f1max")


def as_numpy(values, what: str) -> np.ndarray:
    values = np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        broken = np.sum(~np.isfinite(values))
        raise ValueError(f"{what}: {broken} of {values.size} values are not finite")
    return values


def as_pixels(
    maps, masks, inside
) -> tuple[Float[np.ndarray, "N H W"], Bool[np.ndarray, "N H W"], Bool[np.ndarray, "N H W"] | None]:
    """Maps, masks and object masks; (N, 1, H, W) is accepted, any non-zero mask value is defect."""
    planes = {"maps": maps, "masks": masks}
    if inside is not None:
        planes["inside"] = inside
    planes = {name: as_numpy(values, name) for name, values in planes.items()}
    for name, values in planes.items():
        if values.ndim == 4 and values.shape[1] == 1:
            planes[name] = values[:, 0]
    shapes = {name: values.shape for name, values in planes.items()}
    if planes["maps"].ndim != 3 or len(set(shapes.values())) > 1:
        raise ValueError(f"all need one shape (N, H, W), got {shapes}")
    objects = planes.get("inside")
    return planes["maps"], planes["masks"] != 0, None if objects is None else objects != 0


def pixel_results(
    figures: list, inside: list | None, hits: float, defective: int
) -> dict[str, float]:
    """The six pixel figures by name. inside: the same as figures, inside the object only."""
    within = Undefined("no object masks were given") if inside is None else inside[0]
    share = float(hits / defective) if defective else Undefined("only normal pictures")
    return dict(zip(PIXEL_NAMES, (*figures, within, share), strict=True))


def pixel_metrics(maps, masks, inside=None) -> dict[str, float]:
    """The six pixel figures of maps (N, H, W) against masks (N, H, W), exact; inside (N, H, W)
    marks the object.
    """
    maps, masks, inside = as_pixels(maps, masks, inside)
    hits = peak_hits(maps, masks)
    within = None
    if inside is not None:
        within = exact_curve(maps[masks & inside], maps[~masks & inside]).figures()
    return pixel_results(_curve(maps, masks).figures(), within, sum(hits), len(hits))


def pro(maps, masks, limit: float = PRO_LIMIT) -> float:
    """Mean overlap of a defect's region over false-positive rates up to `limit`, maps (N, H, W)."""
    maps, masks, _ = as_pixels(maps, masks, None)
    curve = _curve(maps, masks)
    return curve.undefined() or curve.pro(limit)


def _curve(maps: Float[np.ndarray, "N H W"], masks: Bool[np.ndarray, "N H W"]) -> Curve:
    shares, regions = region_shares(masks)
    return exact_curve(maps[masks], maps[~masks], shares / max(regions, 1))


def image_metrics(scores, labels) -> dict[str, float]:
    """image_auroc, image_ap and image_f1max of scores (N,) against labels (N,) in {0, 1}."""
    scores = as_numpy(scores, "scores").ravel()
    labels = as_numpy(labels, "labels").ravel()
    if scores.shape != labels.shape or not np.isin(labels, (0, 1)).all():
        raise ValueError(
            f"{len(scores)} scores need as many labels, each 0 or 1, got {len(labels)}: "
            f"{labels[:9]} ..."
        )
    figures = exact_curve(scores[labels == 1], scores[labels == 0], noun="pictures").figures()
    return dict(zip(IMAGE_NAMES, figures[:3], strict=True))


def bootstrap(
    classes: Mapping[str, Sequence],
    statistic: Callable,
    rounds: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float, float]:
    """(figure, low, high): the mean over classes of statistic(*arrays), and the interval that
    `level` of the rounds lie in when the pictures (first axis of each array) of every class are
    drawn anew. Undefined classes are left out.
    """
    generator = np.random.default_rng(seed)

    def mean(draw: Callable[[int], np.ndarray]) -> float:
        figures = []
        for arrays in classes.values():
            rows = draw(len(arrays[0]))
            figures.append(statistic(*(np.asarray(array)[rows] for array in arrays)))
        known = np.array([figure for figure in figures if not np.isnan(figure)], float)
        return float(known.mean()) if len(known) else np.nan

    drawn = [mean(lambda count: generator.integers(count, size=count)) for _ in range(rounds)]
    if np.isnan(drawn).all():
        return (Undefined("the figure is undefined in every class"),) * 3
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return mean(np.arange), low, high
