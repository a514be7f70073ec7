"""Shapes as signed distances in drawing units: negative inside, zero on the outline.

`Canvas` inherits them; `u`, `v` are its current coordinates. Shapes are joined by `np.minimum` and
cut by `np.maximum`.
"""

from itertools import pairwise

import numpy as np

from .fields import f32, hypot


class Shapes:
    u: np.ndarray  # (S, S), to the right
    v: np.ndarray  # (S, S), down
    nature: np.random.Generator  # of irregular outlines

    def circle(self, x=0.0, y=0.0, r=0.5):
        return hypot(self.u - f32(x), self.v - f32(y)) - f32(r)

    def ellipse(self, x=0.0, y=0.0, a=0.5, b=0.3):
        p = (self.u - f32(x)) / f32(a)
        q = (self.v - f32(y)) / f32(b)
        return (hypot(p, q) - 1) * f32(min(a, b))

    def box(self, x=0.0, y=0.0, w=0.5, h=0.5, r=0.0):
        """Box with half width w, half height h, corner radius r."""
        p = np.abs(self.u - f32(x)) - f32(w - r)
        q = np.abs(self.v - f32(y)) - f32(h - r)
        return hypot(np.maximum(p, 0), np.maximum(q, 0)) + np.minimum(np.maximum(p, q), 0) - f32(r)

    def line(self, x1, y1, x2, y2, r=0.05, r2=None):
        """Thick line with round ends; a second radius makes it taper."""
        ax = x2 - x1
        ay = y2 - y1
        along = (self.u - f32(x1)) * f32(ax) + (self.v - f32(y1)) * f32(ay)
        t = np.clip(along / f32(ax * ax + ay * ay + 1e-9), 0, 1)
        width = f32(r) if r2 is None else f32(r) + f32(r2 - r) * t
        return hypot(self.u - f32(x1) - f32(ax) * t, self.v - f32(y1) - f32(ay) * t) - width

    def path(self, points, r=0.05):
        """Thick line through several points."""
        return np.min([self.line(*start, *end, r) for start, end in pairwise(points)], 0)

    def ring(self, x=0.0, y=0.0, r=0.5, w=0.05):
        """Circle line of radius r and half width w."""
        return np.abs(hypot(self.u - f32(x), self.v - f32(y)) - f32(r)) - f32(w)

    def arc(self, x=0.0, y=0.0, r=0.5, start=0.0, end=180.0, w=0.05):
        """Part of a ring from `start` to `end` degrees (clockwise on screen), half width w."""
        mid = np.radians((start + end) / 2)
        half = np.radians((end - start) / 2)
        du = self.u - f32(x)
        dv = self.v - f32(y)
        c = f32(np.cos(mid))
        s = f32(np.sin(mid))
        p = c * du + s * dv
        q = np.abs(c * dv - s * du)
        inside = np.abs(np.arctan2(q, p)) <= half
        ends = hypot(p - f32(r * np.cos(half)), q - f32(r * np.sin(half)))
        return np.where(inside, np.abs(hypot(p, q) - f32(r)), ends) - f32(w)

    def polygon(self, sides=6, r=0.5, turn=0.0):
        """Regular polygon with inner radius r."""
        step = 2 * np.pi / sides
        phi = np.arctan2(self.v, self.u) - f32(np.radians(turn))
        return hypot(self.u, self.v) * np.cos(phi - f32(step) * np.round(phi / f32(step))) - f32(r)

    def blob(self, x=0.0, y=0.0, r=0.5, wobble=0.15, lobes=5):
        """Round shape with an irregular outline."""
        du = self.u - f32(x)
        dv = self.v - f32(y)
        phi = np.arctan2(dv, du)
        edge = np.zeros_like(phi)
        for k in range(2, lobes + 2):
            edge += f32(self.nature.uniform(-1, 1) / np.sqrt(lobes)) * np.cos(
                k * phi + f32(self.nature.uniform(0, 6.28))
            )
        return hypot(du, dv) - f32(r) * (1 + f32(wobble) * edge)

    def letter(self, number, extra=0.035, h=0.09, stroke=0.02):
        """A letter of an unknown script: the outline of a box, wide or narrow as `number` says."""
        wide = stroke + extra * (np.cos(number) > 0)
        return np.abs(self.box(0, 0, wide, h) + stroke) - stroke

    def stripes(self, pitch=0.2, share=0.5, angle=0.0):
        """Parallel bands; `share` of each pitch is inside."""
        t = self.u * f32(np.cos(np.radians(angle))) + self.v * f32(np.sin(np.radians(angle)))
        return np.abs(t - f32(pitch) * np.round(t / f32(pitch))) - f32(pitch * share / 2)
