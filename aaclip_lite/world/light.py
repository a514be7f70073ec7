"""Light, camera and ground: what turns the layers of a `Canvas` into a photograph.

A `Scene` is drawn once for a part, so that the part with and without its defect compare; at a
station most of it is the station's.
Use: `to_uint8(shade(canvas, Scene(np.random.default_rng(1), 128)))` is uint8 (128, 128, 3).
"""

from functools import cached_property

import numpy as np

from .canvas import Canvas
from .fields import GROUND_COLOURS, PALETTE, blur, defocus, f32, grid, hypot, noise, smooth

GROUNDS = (
    "plain",
    "speckled",
    "brushed",
    "mottled",
    "woven",
    "ruled",
    "worn",
    "checked",
    "perforated",
    "pebbled",
)


class Scene:
    """Light, camera and the ground a part lies on; drawn once, so that a part with and without its
    defect compare. At a station (`part` given) `rng` is the station's, the same for every part, and
    `part` decides what a fixture can't hold still: exposure, focus, sensor noise, dust.
    """

    def __init__(
        self, rng: np.random.Generator, size: int, part: np.random.Generator | None = None
    ):
        self.ground_name = str(rng.choice(GROUND_COLOURS))
        self.ground_kind = str(rng.choice(GROUNDS))
        turn = rng.uniform(0, 2 * np.pi)
        tilt = np.radians(rng.uniform(28, 50))
        self.light = np.array(
            [np.cos(turn) * np.sin(tilt), np.sin(turn) * np.sin(tilt), np.cos(tilt)], f32
        )
        self.ambient = f32(rng.uniform(0.42, 0.62))
        self.exposure = f32(rng.uniform(0.88, 1.14))
        self.tint = rng.uniform(0.96, 1.04, 3).astype(f32)
        self.sharpness = f32(rng.uniform(14, 40))
        # strength, throw, softness
        self.shadow = rng.uniform((0.25, 0.04, 0.02), (0.6, 0.10, 0.07)).tolist()
        x, y = grid(size)
        slope = rng.uniform(-0.1, 0.1, 2).astype(f32)
        falloff = 1 + slope[0] * x + slope[1] * y + f32(0.05) * noise(size, rng, 2)
        self.falloff = falloff - f32(rng.uniform(0, 0.12)) * (x * x + y * y)
        self.falloff = self.falloff * (self.tint * self.exposure)[:, None, None]
        self.grain = rng.standard_normal((size, size, 3), f32)
        level = f32(rng.uniform(0.006, 0.02))
        self.defocus = float(rng.uniform(0.003, 0.009))
        self.rng = rng
        self.size = size
        self.part = part
        if part is not None:
            self.falloff = self.falloff * f32(part.uniform(0.97, 1.03))
            self.defocus *= float(part.uniform(0.85, 1.25))
            self.grain = part.standard_normal((size, size, 3), f32)
        self.grain *= level

    @cached_property
    def ground(self) -> np.ndarray:
        """(3, S, S), laid only where something of it shows; nothing else draws from the generator
        after it.
        """
        size = self.size
        rng = self.rng
        x, y = grid(size)
        base = np.array(PALETTE[self.ground_name], f32) * f32(rng.uniform(0.85, 1.12))
        base = np.clip(base + rng.uniform(-0.04, 0.04, 3).astype(f32), 0.05, 0.95)
        field = f32(0.05) * noise(size, rng, 5)
        # a quiet ground would give every part away
        bold = f32(rng.uniform(0.6, 1.5))
        angle = rng.uniform(0, np.pi)
        p = x * f32(np.cos(angle)) + y * f32(np.sin(angle))
        q = y * f32(np.cos(angle)) - x * f32(np.sin(angle))
        pitch = f32(rng.uniform(0.12, 0.3))
        field = self._pattern(field, bold, p, q, pitch)
        ground = np.clip(base[:, None, None] * (1 + field * f32(1.2)), 0.02, 1)
        self._strew(ground)
        return ground

    def _pattern(self, field, bold, p, q, pitch) -> np.ndarray:
        """The field (S, S) of lighter and darker places, with the pattern of this kind of ground."""
        size, rng, kind = self.size, self.rng, self.ground_kind
        if kind == "speckled":
            return field + f32(0.55) * bold * (noise(size, rng, 56) * noise(size, rng, 48))
        if kind == "brushed":
            across = rng.random() < 0.5
            return field + f32(0.2) * bold * noise(size, rng, *((4, 64) if across else (64, 4)))
        if kind == "mottled":
            field = field + f32(0.2) * bold * noise(size, rng, 9)
            return field + f32(0.16) * bold * noise(size, rng, 26)
        if kind == "woven":
            k = f32(rng.uniform(30, 55))
            return field + f32(0.22) * bold * np.sin(p * k) * np.sin(q * k)
        if kind == "ruled":
            return field - f32(0.4) * bold * (np.abs(p - pitch * np.round(p / pitch)) < 0.02)
        if kind == "worn":
            patches = noise(size, rng, 24, 8) * noise(size, rng, 12, 28)
            field = field + f32(0.7) * bold * np.clip(patches - f32(0.1), 0, 1)
            return field + f32(0.12) * noise(size, rng, 40)
        if kind == "checked":
            squares = np.sin(p * f32(np.pi) / pitch) * np.sin(q * f32(np.pi) / pitch)
            return field + f32(0.2) * bold * np.sign(squares)
        if kind == "perforated":
            dots = hypot(p - pitch * np.round(p / pitch), q - pitch * np.round(q / pitch))
            return field - f32(0.5) * bold * smooth((pitch * f32(0.3) - dots) / f32(0.02))
        if kind == "pebbled":
            field = field + f32(0.3) * bold * np.abs(noise(size, rng, 22))
            return field - f32(0.3) * bold * np.abs(noise(size, rng, 30))
        return field

    def _strew(self, ground: np.ndarray) -> None:
        """Put dust and crumbs on the ground (3, S, S)."""
        size, rng = self.size, self.rng
        x, y = grid(size)
        # part of every normal picture, and rare at a station
        count = rng.integers(0, 7)
        if self.part is not None:
            rng = self.part
            count = rng.integers(1, 4) if rng.random() < 0.1 else 0
        for _ in range(count):
            a, b, r = rng.uniform((-1, -1, 0.006), (1, 1, 0.02)).tolist()
            i = int((b + 1) * size / 2)
            j = int((a + 1) * size / 2)
            reach = int(r * size / 2) + 2
            here = slice(max(i - reach, 0), i + reach), slice(max(j - reach, 0), j + reach)
            distance = hypot(x[here] - f32(a), y[here] - f32(b)) - f32(r)
            spot = np.clip(f32(0.5) - distance * f32(size / 2), 0, 1)
            under = ground[:, *here]
            under += (f32(rng.uniform(0.05, 0.95)) - under) * spot * f32(0.6)


def shade(canvas: Canvas, scene: Scene) -> np.ndarray:
    """Light the layers: diffuse and specular light, occlusion in grooves, a drop shadow, the lens;
    what the sensor adds is `scene.grain`.
    """
    size = canvas.size
    cover = canvas.cover
    height = canvas.height
    h = height * cover
    step = f32(size / 4)
    gx = np.zeros_like(h)
    gy = np.zeros_like(h)
    gx[:, 1:-1] = (h[:, 2:] - h[:, :-2]) * step
    gy[1:-1] = (h[2:] - h[:-2]) * step
    inverse = 1 / np.sqrt(gx * gx + gy * gy + 1)
    lx, ly, lz = scene.light
    diffuse = np.maximum((lz - gx * lx - gy * ly) * inverse, 0) / lz
    half = np.array([lx, ly, lz + 1], f32)
    half /= np.linalg.norm(half)
    facing = np.maximum((half[2] - gx * half[0] - gy * half[1]) * inverse, f32(0.3))
    gleam = facing**scene.sharpness
    occlusion = np.clip((blur(h, 0.06) - h) * f32(2.2), 0, 0.45)
    light = (scene.ambient + (1 - scene.ambient) * diffuse) * (1 - occlusion)
    # planes, one a colour: (S, S, 3) would make every product with a (S, S) field crawl in steps of
    # three
    albedo = np.ascontiguousarray(canvas.albedo.transpose(2, 0, 1))
    picture = albedo * light + gleam * canvas.gloss * f32(0.75)
    if (least := cover.min()) < 1:
        strength, throw, softness = scene.shadow
        dx = round(-float(lx) * throw * size)
        dy = round(-float(ly) * throw * size)
        shadow = _shifted(cover, dx, dy) if least < 0.5 else cover
        ground = scene.ground * (1 - strength * blur(shadow, softness))
        picture = ground + (picture - ground) * cover
    picture = defocus(picture * scene.falloff, scene.defocus)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _shifted(field, dx, dy):
    """A field moved by whole pixels; nothing comes in from outside the frame."""
    moved, (h, w) = np.zeros_like(field), field.shape
    moved[max(dy, 0) : h + min(dy, 0), max(dx, 0) : w + min(dx, 0)] = field[
        max(-dy, 0) : h + min(-dy, 0), max(-dx, 0) : w + min(-dx, 0)
    ]
    return moved


def to_uint8(picture: np.ndarray) -> np.ndarray:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
