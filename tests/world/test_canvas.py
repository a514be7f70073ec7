"""canvas.py, fields.py, light.py: shapes as signed distances, placing, layers, light; each against its definition or
another formula.
"""

import numpy as np
import pytest
from scipy import ndimage

from aaclip_lite.world.canvas import Canvas
from aaclip_lite.world.fields import GROUND_COLOURS, PALETTE, blur, defocus, grid, noise
from aaclip_lite.world.light import GROUNDS, Scene, shade, to_uint8

GREY = np.float32((0.5, 0.5, 0.5))


@pytest.fixture
def c():
    return Canvas(128, np.random.default_rng(0))


def scene(seed=1, size=128, **attributes):
    made = Scene(np.random.default_rng(seed), size)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


SHAPES = {  # shape, points inside, points on the outline, points outside
    "circle": (lambda c: c.circle(0.1, 0, 0.4), [(0.1, 0)], [(0.5, 0), (0.1, -0.4)], [(0.6, 0.3)]),
    "ellipse": (
        lambda c: c.ellipse(0, 0, 0.8, 0.3),
        [(0.6, 0)],
        [(0.8, 0), (0, 0.3)],
        [(0, 0.4), (0.7, 0.3)],
    ),
    "box": (
        lambda c: c.box(0, 0, 0.6, 0.2),
        [(0.5, 0.1)],
        [(0.6, 0), (0.2, 0.2)],
        [(0.7, 0), (0, 0.3)],
    ),
    "rounded box": (
        lambda c: c.box(0, 0, 0.6, 0.4, 0.3),
        [(0, 0)],
        [(0.6, 0), (0, 0.4)],
        [(0.58, 0.38)],
    ),
    "line": (
        lambda c: c.line(-0.5, 0, 0.5, 0, 0.1),
        [(0.55, 0)],
        [(0.6, 0), (0, 0.1)],
        [(0, 0.2), (0.7, 0)],
    ),
    "taper": (
        lambda c: c.line(-0.5, 0, 0.5, 0, 0.1, 0.3),
        [(0.5, 0.25)],
        [(-0.5, 0.1), (0.5, 0.3)],
        [(-0.5, 0.2)],
    ),
    "path": (
        lambda c: c.path([(-0.5, 0), (0, 0), (0, 0.5)], 0.1),
        [(0, 0.4)],
        [(0.1, 0.5)],
        [(0.3, 0.2)],
    ),
    "ring": (
        lambda c: c.ring(0, 0, 0.5, 0.1),
        [(0.5, 0)],
        [(0.4, 0), (0, 0.6)],
        [(0, 0), (0.8, 0)],
    ),
    "arc": (
        lambda c: c.arc(0, 0, 0.5, 0, 90, 0.1),
        [(0.35, 0.35)],
        [(0.6, 0)],
        [(-0.5, 0), (0, -0.5)],
    ),
    "polygon": (lambda c: c.polygon(4, 0.5, 0), [(0.4, 0.4)], [(0.5, 0), (0, -0.5)], [(0.6, 0)]),
    "stripes": (lambda c: c.stripes(0.5, 0.4), [(0.5, 0.9), (0, 0)], [(0.1, 0)], [(0.25, 0)]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_a_distance_that_is_negative_inside(c, name):
    make, inside, outline, outside = SHAPES[name]

    def at(points):
        x, y = (np.float32([[p[k] for p in points]]) for k in (0, 1))
        c.u, c.v = x, y
        return make(c)[0]

    assert (at(inside) < -0.02).all() and (at(outside) > 0.02).all()
    np.testing.assert_allclose(at(outline), 0, atol=1e-6)
    c.u, c.v = grid(128)
    steepest = np.max([np.abs(np.diff(make(c), axis=k)).max() for k in (0, 1)]) / (2 / 128)
    assert steepest <= 3.0  # an outline one pixel wide needs a slope of about one


def test_blob_is_round_within_its_wobble(c):
    edge = c.blob(0, 0, 0.5, 0.2, 5)
    r = np.hypot(c.u, c.v)
    assert (edge[r < 0.2] < 0).all() and (edge[r > 0.85] > 0).all()
    assert (c.blob(0, 0, 0.5, 0.2, 5) != edge).any()  # another outline each time
    np.testing.assert_allclose(c.blob(0, 0, 0.5, 0.0, 5), r - 0.5, atol=1e-6)


def test_place_turns_scales_and_moves_the_drawing(c):
    c.place(angle=90, scale=0.5, dx=0.2, dy=-0.1)
    # to the right of the centre: a quarter turn on screen leads below it
    shape = c.circle(0.8, 0, 0.1)
    row, column = np.unravel_index(shape.argmin(), shape.shape)
    assert (c.x[row, column], c.y[row, column]) == pytest.approx((0.2, 0.3), abs=0.01)
    assert (shape < 0).mean() == pytest.approx(np.pi * 0.05**2 / 4, rel=0.15)
    assert c.unit == 0.5


def test_coordinates_come_back_after_each_block(c):
    u, v = c.u, c.v
    with c.at(0.3, -0.2, 40, 0.5):
        assert c.unit == 0.5 and (c.circle(0, 0, 0.1) < 0).any()
        row, column = np.unravel_index(c.circle(0, 0, 0.1).argmin(), u.shape)
        assert (c.x[row, column], c.y[row, column]) == pytest.approx((0.3, -0.2), abs=0.02)
    with c.tiled(0.25, 0.5, 0.5) as (column, row):
        assert ndimage.label(c.circle(0, 0, 0.06) < 0)[1] >= 8 * 4
        assert column.max() - column.min() >= 7 and row.max() - row.min() >= 3
    with c.ringed(7, 10):
        assert ndimage.label(c.circle(0.6, 0, 0.1) < 0)[1] == 7
    with c.piece():
        pass
    assert c.u is u and c.v is v and c.unit == 1.0 and not c.muted


def test_odd_rows_of_a_tiling_are_shifted(c):
    with c.tiled(0.5, 0.5, 0.5) as (_, row):
        dots = c.circle(0, 0, 0.05)
    even, odd = (np.flatnonzero(((dots < 0) & (row == k)).any(0)) for k in (0, 1))
    assert not set(even) & set(odd)


def test_part_covers_rises_and_reflects(c):
    c.part(c.circle(0, 0, 0.5), (1.0, 0, 0), rise=0.2, bevel=0.1, gloss=0.7)
    middle, corner = (64, 64), (2, 2)
    assert c.cover[middle] == 1 and c.cover[corner] == 0
    assert c.height[middle] == pytest.approx(0.2) and c.height[corner] == 0
    assert c.albedo[middle] == pytest.approx((1, 0, 0)) and c.gloss[middle] == pytest.approx(0.7)
    # smooth outline: the area is exact
    assert c.cover.mean() == pytest.approx(np.pi * 0.25 / 4, rel=0.01)
    rim = c.height[64, 64 + 29]
    assert 0 < rim < 0.2
    c.hole(c.circle(0, 0, 0.2))
    assert c.cover[middle] == 0 and c.cover[64, 64 + 20] == 1


def test_a_dome_is_highest_in_the_middle(c):
    c.part(c.circle(0, 0, 0.8), GREY, rise=0.0, dome=0.4)
    line = c.height[64, 64:110]
    assert (np.diff(line) <= 1e-6).all() and line[0] == pytest.approx(0.4, rel=0.01)


def test_paint_carve_and_emboss_change_one_layer_each(c):
    c.sheet(GREY)
    before = c.copy_layers()

    def changed():
        now = c.copy_layers()
        names = ("albedo", "height", "gloss", "cover")
        found = {name for name, a, b in zip(names, before, now, strict=True) if (a != b).any()}
        c.set_layers(before)
        return found

    c.paint(c.circle(0, 0, 0.3), (1, 1, 1))
    assert changed() == {"albedo"}
    c.paint(c.circle(0, 0, 0.3), (1, 1, 1), soft=0.1, gloss=0.9)
    assert changed() == {"albedo", "gloss"}
    c.carve(c.circle(0, 0, 0.3), 0.1, 0.05)
    assert c.height.min() == pytest.approx(-0.1)
    assert changed() == {"height"}
    c.carve(c.circle(0, 0, 0.3), 0.1, 0.05, (0, 0, 0))
    assert changed() == {"height", "albedo"}
    c.emboss(c.noise(8), 0.05)
    assert changed() == {"height"}


def test_a_set_of_layers_is_a_copy(c):
    kept = c.copy_layers()
    c.sheet(GREY)
    c.set_layers(kept)
    c.albedo[:] = 1
    assert kept[0].max() == 0


def two_pieces(fault=None):
    c = Canvas(64, np.random.default_rng(3), fault=fault)
    c.part(c.box(0, 0, 0.9, 0.9), GREY)
    for x in (-0.4, 0.4):
        with c.piece(), c.at(x, 0, c.rng.uniform(0, 90)):
            c.part(c.box(0, 0, 0.2, 0.2), c.colour("red"), rise=0.1)
            c.hole(c.circle(0, 0, 0.05))
    return c


def test_a_missing_piece_leaves_everything_else_as_it_was():
    whole, wrong = two_pieces(), two_pieces((1, "missing", 0, 0, 0))
    differs = (whole.albedo != wrong.albedo).any(-1) | (whole.cover != wrong.cover)
    assert differs[:, 40:].any() and not differs[:, :32].any()
    # random numbers are used up all the same
    assert wrong.pieces == 2 and whole.rng.random() == wrong.rng.random()


def test_a_misplaced_piece_moves():
    whole, wrong = two_pieces(), two_pieces((0, "misplaced", 0.1, -0.2, 0))

    def centre(c):
        redness = np.where(c.x < 0, c.albedo[..., 0] - c.albedo[..., 1], 0)
        return np.array([(redness * c.x).sum(), (redness * c.y).sum()]) / redness.sum()

    assert centre(wrong) - centre(whole) == pytest.approx((0.1, -0.2), abs=0.02)


def test_a_bend_pushes_one_side_and_keeps_the_other():
    straight, bent = (
        Canvas(64, np.random.default_rng(0), bend=b) for b in (None, (1, 0, 0.3, 0.0, 0.5))
    )
    for each in (straight, bent):
        each.place()
        each.part(each.box(0, 0, 0.9, 0.2), GREY)
    np.testing.assert_array_equal(straight.cover[:, :32], bent.cover[:, :32])
    shift = [
        (each.cover[:, 60] * each.y[:, 60]).sum() / each.cover[:, 60].sum()
        for each in (straight, bent)
    ]
    assert abs(shift[1] - shift[0]) == pytest.approx(0.3, abs=0.03)


def test_colours_vary_around_their_name(c):
    drawn = np.stack([c.colour("red") for _ in range(200)])
    assert np.abs(drawn.mean(0) - PALETTE["red"]).max() < 0.02 and drawn.std(0).min() > 0.005
    assert drawn.min() >= 0.03 and drawn.max() <= 0.97 and set(GROUND_COLOURS) <= set(PALETTE)


@pytest.mark.parametrize("sigma", [0.03, 0.1])
def test_blur_is_a_gaussian(sigma):
    field = np.zeros((128, 128), np.float32)
    field[60:70, 50:80] = 1
    expected = ndimage.gaussian_filter(field, sigma * 64, truncate=6)
    np.testing.assert_allclose(blur(field, sigma), expected, atol=2e-3)


@pytest.mark.parametrize("sigma", [0.004, 0.03])
def test_the_lens_keeps_flat_light_and_softens_edges(sigma):
    flat = np.full((3, 64, 64), 0.3, np.float32)
    np.testing.assert_allclose(defocus(flat, sigma), 0.3, atol=1e-6)
    edge = flat.copy()
    edge[:, :, 32:] = 0.9
    edge[:, 20:] += 0.05
    soft = defocus(edge, sigma)
    assert np.abs(np.diff(soft)).max() < 0.6 and soft.mean() == pytest.approx(edge.mean(), abs=1e-3)
    assert 0 < np.abs(np.diff(soft, axis=1)).max() < 0.05


def test_noise_is_smooth_centred_and_sized():
    field = noise(128, np.random.default_rng(0), 6, 3)
    assert field.shape == (128, 128) and np.abs(field).max() <= 1 and abs(field.mean()) < 0.4
    assert np.abs(np.diff(field, axis=1)).max() < 0.2
    assert noise(16, np.random.default_rng(0), 64).shape == (16, 16)  # never more hills than pixels


def test_grain_turns_with_the_part():
    upright, turned = (Canvas(128, np.random.default_rng(5)) for _ in range(2))
    turned.place(angle=90)
    np.testing.assert_allclose(np.rot90(upright.grain(3, 40), -1), turned.grain(3, 40), atol=1e-3)


def lit(draw, **attributes):
    c = Canvas(128, np.random.default_rng(0))
    c.part(c.box(0, 0, 0.8, 0.8), GREY, rise=0.1, bevel=0.1, gloss=0)
    draw(c)
    return shade(c, scene(**attributes)).mean(-1)


def test_a_groove_catches_light_on_the_side_that_faces_it():
    tilted = np.float32((0.6, 0, 0.8))
    sides = []
    for light in (tilted, tilted * (-1, 1, 1)):
        change = lit(
            lambda c: c.carve(c.box(0, 0, 0.1, 0.5), 0.1, 0.1), light=np.float32(light)
        ) - lit(lambda c: None, light=np.float32(light))
        sides.append((change[64, 58:64].mean(), change[64, 64:70].mean()))
    assert (sides[0][0] - sides[0][1]) * (sides[1][0] - sides[1][1]) < 0  # the other way round
    assert abs(sides[0][0] - sides[0][1]) > 0.1


def test_the_shadow_falls_away_from_the_light():
    ground = np.full((3, 128, 128), 0.8, np.float32)
    made = {
        "ground": ground,
        "falloff": np.ones((3, 1, 1), np.float32),
        "shadow": (np.float32(0.5), 0.1, 0.02),
    }
    picture = lit(lambda c: None, light=np.float32((-0.6, 0, 0.8)), **made)
    assert picture[64, 8] == pytest.approx(0.8, abs=0.01)  # lit from the left: no shadow there
    assert picture[64, 119] < 0.6


def test_no_shadow_comes_in_from_the_other_side_of_the_frame():
    c = Canvas(128, np.random.default_rng(0))
    c.part(c.box(0.6, 0, 0.5, 2), GREY, rise=0.1, bevel=0.1, gloss=0)  # runs over the right edge
    ground = np.full((3, 128, 128), 0.8, np.float32)
    made = {
        "ground": ground,
        "falloff": np.ones((3, 1, 1), np.float32),
        "shadow": (np.float32(0.5), 0.2, 0.02),
    }
    picture = shade(c, scene(light=np.float32((-0.6, 0, 0.8)), **made)).mean(-1)
    assert picture[64, 2:40] == pytest.approx(0.8, abs=0.01)


def test_a_gloss_gleams():
    dull = lit(lambda c: None)
    glossy = lit(lambda c: c.gloss.__imul__(0).__iadd__(1.0))
    assert (glossy - dull)[30:100, 30:100].mean() > 0.02 and (glossy >= dull - 1e-6).all()


def test_a_picture_is_bytes_with_the_cameras_noise():
    c, made = Canvas(64, np.random.default_rng(0)), scene(size=64)
    c.part(c.circle(0, 0, 0.6), GREY)
    picture = to_uint8(shade(c, made) + made.grain)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    # light and layers are all there is
    again = scene(size=64)
    np.testing.assert_array_equal(picture, to_uint8(shade(c, again) + again.grain))
    np.testing.assert_array_equal(to_uint8(np.array([-1, 0, 0.5, 1, 2])), [0, 0, 128, 255, 255])


def test_grounds_and_lights_vary():
    scenes = [Scene(np.random.default_rng(seed), 64) for seed in range(150)]
    assert {s.ground_kind for s in scenes} == set(GROUNDS) and {
        s.ground_name for s in scenes
    } == set(GROUND_COLOURS)
    for kind in GROUNDS:
        spread = [s.ground.std((1, 2)).max() for s in scenes if s.ground_kind == kind]
        assert max(spread) > 0.02 or kind == "plain"
    lights = np.stack([s.light for s in scenes])
    np.testing.assert_allclose(np.linalg.norm(lights, axis=1), 1, atol=1e-5)
    assert lights[:, 2].min() > 0.6 and lights[:, 0].min() < -0.5 and lights[:, 0].max() > 0.5
    assert all(s.ground.min() >= 0.02 and s.ground.max() <= 1 for s in scenes)
