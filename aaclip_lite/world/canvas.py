"""A small drawing board for product photos: shapes become layers, layers become a lit picture.

A product is drawn as layers (colour, height, gloss, and where the object covers the ground), never
as finished pixels. Light, shadow, camera noise come last, in `light.shade`. So anything that changes a
layer before shading behaves as on a real part: a scratch catches the light, a dent shades, a hole
shows the ground.

    c = Canvas(128, np.random.default_rng(0))
    c.place(angle=30, scale=0.85)
    c.part(c.circle(0, 0, 0.9), (0.7, 0.2, 0.2), rise=0.2, bevel=0.15, gloss=0.5)
    picture = shade(c, Scene(np.random.default_rng(1), 128))   # (128, 128, 3), 0 to 1

Coordinates run from -1 to 1, x to the right, y down. Shapes are signed distances: negative inside.
"""

from contextlib import contextmanager

import numpy as np

from .fields import PALETTE, f32, grid, hypot, noise, smooth
from .shapes import Shapes


def _moved(u, v, x, y, angle, scale=1.0):
    """Coordinates whose origin lies at (x, y), turned by `angle` degrees and scaled."""
    u = u - f32(x)
    v = v - f32(y)
    c = f32(np.cos(np.radians(angle)) / scale)
    s = f32(np.sin(np.radians(angle)) / scale)
    return c * u + s * v, c * v - s * u


class Canvas(Shapes):
    """Layers of one picture. `u`, `v` are the coordinates shapes are drawn in; `piece` marks
    removable parts.
    """

    def __init__(
        self,
        size: int,
        rng: np.random.Generator,
        bend: tuple | None = None,
        fault: tuple | None = None,
    ):
        self.size = size
        self.rng = rng
        # what differs from part to part of one design: random fields and irregular outlines
        self.nature = rng
        # how far the part is turned against lamps that stand still, in radians
        self.turned = 0.0
        self.x, self.y = grid(size)
        self.u = self.x
        self.v = self.y
        self.unit = 1.0  # how large one drawing unit is in the frame
        self.albedo = np.zeros((size, size, 3), f32)
        self.height = np.zeros((size, size), f32)
        self.gloss = np.zeros((size, size), f32)
        self.cover = np.zeros((size, size), f32)
        # structural defects: (along, across, amount, centre, width); (piece, "missing" |
        # "misplaced", dx, dy, turn)
        self.bend = bend
        self.fault = fault
        self.pieces = 0
        self.muted = False
        self.base = np.array(PALETTE["grey"], f32)
        self.colour_name = "grey"

    # -- where things are drawn --------------------------------------------------------------------

    def place(
        self, angle: float = 0.0, scale: float = 1.0, dx: float = 0.0, dy: float = 0.0
    ) -> None:
        """Put the drawing (designed for the unit circle) into the frame; angle in degrees."""
        self.u, self.v = _moved(self.x, self.y, dx, dy, angle, scale)
        self.unit = scale
        # a smooth sideways push of everything near one line: what a bent part looks like
        if self.bend:
            along, across, amount, centre, width = self.bend
            t = self.u * f32(along) + self.v * f32(across) - f32(centre)
            push = f32(amount) * smooth(t / f32(width))
            self.u = self.u - push * f32(-across)
            self.v = self.v - push * f32(along)

    @contextmanager
    def at(self, x: float = 0.0, y: float = 0.0, angle: float = 0.0, scale: float = 1.0):
        """Draw in coordinates moved to (x, y), turned by `angle` degrees and scaled."""
        kept = self.u, self.v, self.unit
        self.u, self.v = _moved(self.u, self.v, x, y, angle, scale)
        self.unit = self.unit * scale
        yield self
        self.u, self.v, self.unit = kept

    @contextmanager
    def tiled(self, pitch_x: float, pitch_y: float, shift: float = 0.0):
        """Repeat what is drawn on a grid; odd rows move by `shift` pitches. Yields (column, row)
        numbers per pixel.
        """
        kept = self.u, self.v
        row = np.floor(self.v / f32(pitch_y) + f32(0.5))
        u = self.u - ((row.astype(np.int32) & 1).astype(f32) * f32(shift * pitch_x) if shift else 0)
        column = np.floor(u / f32(pitch_x) + f32(0.5))
        self.u = u - column * f32(pitch_x)
        self.v = self.v - row * f32(pitch_y)
        yield column, row
        self.u, self.v = kept

    @contextmanager
    def ringed(self, count: int, turn: float = 0.0):
        """Repeat what is drawn `count` times around the centre (draw it on the positive x axis)."""
        kept = self.u, self.v
        step = 2 * np.pi / count
        phi = np.arctan2(self.v, self.u) - f32(np.radians(turn))
        phi = phi - f32(step) * np.round(phi / f32(step))
        r = hypot(self.u, self.v)
        self.u = r * np.cos(phi)
        self.v = r * np.sin(phi)
        yield self
        self.u, self.v = kept

    @contextmanager
    def piece(self):
        """A part that could be missing or out of place; draw it inside. Random numbers are used up
        all the same.
        """
        index = self.pieces
        kept = (self.u, self.v, self.muted)
        self.pieces += 1
        if self.fault and self.fault[0] == index:
            _, kind, dx, dy, turn = self.fault
            if kind == "missing":
                self.muted = True
            else:
                self.u, self.v = _moved(self.u, self.v, dx, dy, turn)
        yield self
        self.u, self.v, self.muted = kept

    # -- random fields and colours -----------------------------------------------------------------

    def noise(self, cells=6, cells_y=None):
        """Smooth random field over the frame, about [-1, 1]."""
        return noise(self.size, self.nature, cells, cells_y)

    def grain(self, cells, cells_y):
        """Smooth random field in drawing coordinates, so it turns with the part, as in wood."""
        values = self.nature.uniform(-1, 1, (cells_y, cells)).astype(f32)
        p = (self.u + 1) * f32(cells / 2)
        q = (self.v + 1) * f32(cells_y / 2)
        i = np.floor(p).astype(np.int32)
        j = np.floor(q).astype(np.int32)
        s = smooth(p - i)
        t = smooth(q - j)

        def along(row):
            row = row % cells_y
            return values[row, i % cells] * (1 - s) + values[row, (i + 1) % cells] * s

        return along(j) * (1 - t) + along(j + 1) * t

    def mottle(self, amount=0.06, cells=10):
        """Random light and dark clouds as a factor on a colour, (S, S, 1)."""
        clouds = 1 + f32(amount) * self.noise(cells) + f32(amount * 0.6) * self.noise(cells * 3)
        return clouds[..., None]

    def colour(self, name):
        """A named colour, a little different every time."""
        rgb = np.array(PALETTE[name], f32) * f32(1 + self.rng.uniform(-2, 2) * 0.04)
        return np.clip(rgb + self.rng.uniform(-0.04, 0.04, 3).astype(f32), 0.03, 0.97)

    def colours(self, *choices):
        """One of each given line of names, as `colour` makes it."""
        return [self.colour(self.rng.choice(names.split())) for names in choices]

    # -- putting paint, height and holes on the layers ---------------------------------------------

    def alpha(self, shape):
        pixels = shape * f32(self.unit * self.size / 2)
        return np.clip(f32(0.5) - pixels, 0, 1).astype(f32, copy=False)

    def _blend(self, layer, value, alpha):
        rows = np.flatnonzero(alpha.any(1))
        if not len(rows):
            return
        part = slice(rows[0], rows[-1] + 1)  # most shapes are small: touch only their rows
        value = value[part] if np.ndim(value) >= 2 else value
        alpha = alpha[part] if layer.ndim == 2 else alpha[part, :, None]
        layer[part] += (value - layer[part]) * alpha

    def part(self, shape, colour, rise=0.12, bevel=0.08, dome=0.0, gloss=0.25):
        """A body: covers the ground, rises with a bevelled rim and an optional dome towards its
        middle.
        """
        if self.muted:
            return
        alpha = self.alpha(shape)
        profile = f32(rise) * smooth(-shape / f32(bevel))
        if dome:
            depth = np.clip(shape / min(float(shape.min()), -1e-3), 0, 1)
            profile = profile + f32(dome) * np.sqrt(depth * (2 - depth))
        self._blend(self.albedo, colour, alpha)
        self._blend(self.gloss, f32(gloss), alpha)
        self.height += profile * alpha * f32(self.unit)
        self.cover = np.maximum(self.cover, alpha)

    def sheet(self, colour, gloss=0.2):
        """A surface that fills the whole frame: the start of every texture."""
        self.albedo[:] = colour
        self.gloss[:] = gloss
        self.cover[:] = 1

    def paint(self, shape, colour, strength=1.0, soft=0.0, gloss=None):
        """Colour without height: print, glaze, grain. `soft` blurs the outline over that distance."""
        if self.muted:
            return
        alpha = smooth(f32(0.5) - shape / f32(2 * soft)) if soft else self.alpha(shape)
        alpha = alpha * f32(strength)
        self._blend(self.albedo, colour, alpha)
        if gloss is not None:
            self._blend(self.gloss, f32(gloss), alpha)

    def carve(self, shape, depth=0.1, bevel=0.05, colour=None, strength=1.0):
        """A groove or recess: lowers the height inside the shape; optionally tints it."""
        if self.muted:
            return
        self.height -= f32(depth * self.unit) * smooth(-shape / f32(bevel))
        if colour is not None:
            self._blend(self.albedo, colour, self.alpha(shape) * f32(strength))

    def emboss(self, field, amount=0.05):
        """Add a height field: weave, hammer marks, rind."""
        if not self.muted:
            self.height += field * f32(amount * self.unit)

    def hole(self, shape):
        """Cut through the body: the ground shows."""
        if not self.muted:
            self.cover *= 1 - self.alpha(shape)

    def copy_layers(self):
        return self.albedo.copy(), self.height.copy(), self.gloss.copy(), self.cover.copy()

    def set_layers(self, layers):
        self.albedo, self.height, self.gloss, self.cover = (layer.copy() for layer in layers)
