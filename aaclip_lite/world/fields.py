"""Numbers on a square grid: coordinates, smooth random fields, blur; and the palette.

Everything is float32 and plain numpy; a blur or a random field is two small matrix products.
Use: `noise(128, rng, 6)` is a field with about six hills across; `x, y = grid(128)`.
"""

from functools import cache

import numpy as np

f32 = np.float32

GROUND_COLOURS = (
    "white",
    "grey",
    "black",
    "blue",
    "green",
    "brown",
    "beige",
    "dark",
    "silver",
    "cream",
)

PALETTE = {
    "white": (0.90, 0.90, 0.88),
    "black": (0.10, 0.10, 0.11),
    "grey": (0.50, 0.51, 0.53),
    "silver": (0.70, 0.71, 0.74),
    "red": (0.76, 0.14, 0.13),
    "orange": (0.88, 0.47, 0.13),
    "yellow": (0.90, 0.77, 0.20),
    "green": (0.16, 0.50, 0.24),
    "blue": (0.14, 0.28, 0.68),
    "purple": (0.45, 0.22, 0.56),
    "pink": (0.88, 0.52, 0.62),
    "brown": (0.42, 0.26, 0.15),
    "beige": (0.82, 0.73, 0.58),
    "golden": (0.80, 0.62, 0.28),
    "copper": (0.74, 0.43, 0.29),
    "tan": (0.70, 0.52, 0.34),
    "cream": (0.92, 0.86, 0.72),
    "dark": (0.20, 0.19, 0.20),
    "olive": (0.42, 0.43, 0.20),
    "turquoise": (0.20, 0.60, 0.60),
}


@cache
def grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel centres of a size x size frame as (x, y) in [-1, 1]."""
    axis = ((np.arange(size, dtype=f32) + 0.5) * (2 / size) - 1).astype(f32)
    x, y = np.meshgrid(axis, axis)
    return x, y


@cache
def _stretch(size: int, cells: int) -> np.ndarray:
    """Matrix (size, cells + 1) that interpolates smoothly between `cells + 1` values along an axis."""
    t = (np.arange(size) + 0.5) / size * cells
    low = np.minimum(t.astype(int), cells - 1)
    w = t - low
    w = w * w * (3 - 2 * w)
    matrix = np.zeros((size, cells + 1), f32)
    matrix[np.arange(size), low] = 1 - w
    matrix[np.arange(size), low + 1] = w
    return matrix


@cache
def _gauss(size: int, radius_milli: int) -> np.ndarray:
    """Matrix (size, size) of a Gaussian blur along an axis; two small matrix products blur a
    picture.
    """
    sigma = radius_milli / 1000 * size / 2
    i = np.arange(size)
    matrix = np.exp(-0.5 * ((i[:, None] - i[None]) / max(sigma, 1e-3)) ** 2)
    matrix[matrix < 1e-7] = 0  # denormal numbers would slow every product tenfold
    return (matrix / matrix.sum(1, keepdims=True)).astype(f32)


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (S, S); sigma in frame units (the frame is 2 wide)."""
    g = _gauss(field.shape[0], round(sigma * 1000))
    return g @ field @ g.T


def defocus(planes: np.ndarray, sigma: float) -> np.ndarray:
    """The lens: a slight blur of (3, S, S). Below 0.7 pixel three taps are enough and much cheaper."""
    size = planes.shape[-1]
    if sigma * size / 2 > 0.7:
        return np.stack([blur(plane, sigma) for plane in planes])
    w = f32(np.exp(-0.5 / max(sigma * size / 2, 0.2) ** 2))
    w = w / (1 + 2 * w)
    for axis in (1, 2):  # the rim's pixels stand for their missing neighbours
        out = planes * (1 - 2 * w)
        a, b = (planes, out) if axis == 1 else (planes.transpose(0, 2, 1), out.transpose(0, 2, 1))
        b[:, 1:-1] += w * (a[:, 2:] + a[:, :-2])
        b[:, 0] += w * (a[:, 0] + a[:, 1])
        b[:, -1] += w * (a[:, -1] + a[:, -2])
        planes = out
    return planes


def noise(
    size: int, rng: np.random.Generator, cells: int, cells_y: int | None = None
) -> np.ndarray:
    """Smooth random field (size, size) in about [-1, 1], with `cells` hills across and `cells_y`
    down.
    """
    cells, cells_y = min(cells, size), min(cells_y or cells, size)
    values = rng.uniform(-1, 1, (cells_y + 1, cells + 1)).astype(f32)
    return _stretch(size, cells_y) @ values @ _stretch(size, cells).T


def hypot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Length of (x, y): plain, and four times faster than np.hypot, which guards against overflow."""
    return np.sqrt(x * x + y * y)


def choose(zone: np.ndarray, *colours: np.ndarray) -> np.ndarray:
    """The colour of every pixel: that of its zone, a number or yes and no."""
    return np.take(colours, np.asarray(zone, int), 0)


def smooth(t: np.ndarray) -> np.ndarray:
    """0 to 1 with flat ends (smoothstep) of a clipped ramp."""
    t = np.clip(t, 0, 1)
    return t * t * (3 - 2 * t)
