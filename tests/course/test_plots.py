"""plots.py: what each figure shows, refusals, and files that are opaque and complete."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from aaclip_lite import doctor
from aaclip_lite.course import charts, plots
from aaclip_lite.doctor.finding import VERDICTS
from aaclip_lite.evaluation import evaluate, maps_of
from aaclip_lite.load import load_clip
from aaclip_lite.model import AdaptedCLIP
from tests.core.test_evaluation import CONFIG, Bright, write
from tests.notebooks import drawing

SHEETS = Path(__file__).parents[2] / "data/sheets"


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return load_clip(CONFIG, weights=None)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("plots") / "data")


@pytest.fixture(scope="module")
def report(clip, data):
    return evaluate(Bright(clip), data, baselines=True, rounds=5, progress=False)


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    masks = np.zeros((5, 32, 32), np.uint8)
    masks[1:, 10:20, 0:6] = 1  # the first is normal; the others touch the rim
    return (
        rng.integers(0, 256, (5, 32, 32, 3), np.uint8),
        rng.random((5, 32, 32)),
        masks,
        list("abcde"),
    )


def shown(figure):
    return [ax for ax in figure.axes if ax.images]


def test_sheet_shows_pictures_maps_and_outlines(parts):
    pictures, maps, masks, titles = parts
    figure = plots.sheet(pictures, torch.from_numpy(maps), masks, titles, "All", columns=2)
    cells = shown(figure)
    assert len(cells) == 10 and figure.get_suptitle() == "All"
    assert [ax.get_title(loc="left") for ax in cells[::2]] == titles
    for i in range(5):
        picture, (grey, heat) = cells[2 * i].images[0], cells[2 * i + 1].images
        assert np.allclose(grey.get_array(), pictures[i].mean(2)) and heat.get_alpha() < 1
        assert np.array_equal(picture.get_array(), pictures[i]) and np.allclose(
            heat.get_array(), maps[i]
        )
        assert heat.get_clim() == pytest.approx(np.percentile(maps, (1, 99.8)))
        assert not cells[2 * i].collections, "the photograph stays bare"
        for ax in cells[2 * i + 1 : 2 * i + 2]:
            assert len(ax.collections) == (2 if i else 0)  # black below white
            for line in ax.collections:
                x, y = line.get_paths()[0].vertices.T
                assert (
                    x.min() < 0 and 6 <= x.max() <= 8 and 8 <= y.min() <= 10 and 19 <= y.max() <= 21
                )
    assert [ax.get_ylabel() for ax in figure.axes if ax not in cells] == ["anomaly score"]


def test_sheet_scales(parts):
    pictures, maps, _, _ = parts
    own = [ax.images[1].get_clim() for ax in shown(plots.sheet(pictures, maps, scale="own"))[1::2]]
    assert own == [(m.min(), m.max()) for m in maps]
    fixed = shown(plots.sheet(pictures, maps, scale=(-3, 9)))
    assert {ax.images[1].get_clim() for ax in fixed[1::2]} == {(-3, 9)}
    counted = plots.sheet(pictures, maps, scale="deviations")
    assert {ax.images[1].get_clim() for ax in shown(counted)[1::2]} == {plots.ENDS}
    assert counted.axes[-1].get_ylabel() == plots.UNIT
    assert len(shown(plots.sheet(pictures))) == 5


def test_outlines_keep_off_what_they_ring():
    mask = np.zeros((64, 64), np.uint8)
    mask[30:33, 10:50] = 1  # as thin as a scratch
    ax = shown(plots.sheet([np.zeros((64, 64, 3), np.uint8)], masks=[mask]))[0]
    x, y = ax.collections[0].get_paths()[0].vertices.T
    assert not mask[y.round().astype(int), x.round().astype(int)].any()


def test_a_sheet_of_several_maps_a_picture_has_one_scale(parts):
    pictures, maps, masks, titles = parts
    columns = {"before": maps[1:3], "after": 9 * maps[1:3]}
    figure = plots.sheet(pictures[1:3], columns, masks[1:3], titles[1:3], "All", 1, "deviations")
    cells = shown(figure)
    assert len(cells) == 6 and {ax.images[1].get_clim() for ax in cells if ax.images[1:]} == {
        plots.ENDS
    }
    assert [cells[0].get_title(loc="left"), *(ax.get_title() for ax in cells[1:3])] == [
        "b",
        "before",
        "after",
    ]
    assert np.allclose(cells[5].images[1].get_array(), 9 * maps[2])
    assert not cells[0].collections and cells[1].collections


def test_typical_is_the_defect_of_median_size(data):
    for sample in map(plots.typical(data, 2).__getitem__, range(2)):
        own = data.filter(sample.class_name, labels=1)
        areas = sorted(own[i].mask.mean() for i in range(len(own)))
        assert sample.mask.mean() == areas[len(areas) // 2]


def test_the_drawing_lights_up_one_part(tmp_path):
    assert {drawing.file_of(here) for here in drawing.PARTS} < {
        p.name for p in SHEETS.glob("*.png")
    }
    words = [text.get_text() for text in drawing.method("losses").axes[0].texts]
    assert "you are here" in words
    assert "you are here" not in [t.get_text() for t in drawing.method().axes[0].texts]
    with pytest.raises(ValueError, match="'lights' is not one of data, clip"):
        drawing.method("lights")


def test_a_learning_rate_stays_stairs():
    rows = [{"step": i, "lr": 0.1 if i < 20 else 0.01} for i in range(1, 41)]
    _, line = plots.curves(rows, ["lr"]).axes[0].lines
    assert set(line.get_ydata()) == {0.1, 0.01} and line.get_drawstyle() == "steps-post"


def test_deviations_are_counted_from_each_products_own_normal_pictures():
    rng = np.random.default_rng(0)
    maps = rng.random((6, 8, 8)) * np.array([1, 1, 1, 50, 50, 50]).reshape(-1, 1, 1)
    names, labels = ["a"] * 3 + ["b"] * 3, [0, 0, 1, 0, 1, 0]
    found = plots.deviations(maps, names, labels).numpy()
    for chosen, normal in ((range(3), (0, 1)), (range(3, 6), (3, 5))):
        own = maps[list(normal)]
        expected = (maps[list(chosen)] - own.mean()) / own.std(ddof=1)
        np.testing.assert_allclose(found[list(chosen)], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="a: no normal picture"):
        plots.deviations(maps[:3], names[:3], [1, 1, 1])


def test_heat_colours_rise_in_brightness():
    """So that they mean the same in grey, and to those who see fewer colours."""
    red, green, blue = colormaps[plots.HEAT](np.linspace(0, 1, 64))[:, :3].T
    assert (np.diff(0.299 * red + 0.587 * green + 0.114 * blue) > 0).all()


def test_lines_and_points_differ_without_colour():
    assert (
        len({str(dash) for _, dash, _ in plots.LINES})
        == len({mark for *_, mark in plots.LINES})
        == len(plots.LINES)
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"maps": np.zeros((2, 32, 32))}, "5 pictures, but 2 maps"),
        ({"titles": ["one"]}, "5 pictures, but 1 titles"),
        ({"pictures": []}, "0 pictures"),
        ({"scale": "log"}, "scale 'log'"),
    ],
)
def test_sheet_refuses(parts, change, message):
    with pytest.raises(ValueError, match=message):
        plots.sheet(**{"pictures": parts[0]} | change)


def zero_of(data, name):
    """Mean and spread of what Bright says of the normal pictures that set a product's zero."""
    normal = data.filter(name, labels=0)
    maps = [normal[i].image.mean(2) / 255 for i in range(min(plots.REFERENCES, len(normal)))]
    return np.mean(maps), np.std(maps, ddof=1)


def test_cases_show_what_the_report_names(clip, data, report):
    zeros = {name: zero_of(data, name) for name in data.classes}
    for which, rows in report.extremes(3).items():
        cells = shown(plots.cases(Bright(clip), data, report, which, count=3))
        assert len(cells) == 6
        for i, row in enumerate(rows):
            picture = data[row["index"]].image
            assert np.array_equal(cells[2 * i].images[0].get_array(), picture)
            found = picture.mean(2) / 255 - zeros[row["class_name"]][0]
            found = found / zeros[row["class_name"]][1]
            assert np.allclose(cells[2 * i + 1].images[1].get_array(), found, atol=1e-3)
            end = f", AP {row['pixel_ap']:.2f}" if row["label"] else f", score {row['score']:.1f}"
            title = f"{row['class_name']}: {row['defect'] or 'normal'}{end}"
            assert cells[2 * i].get_title(loc="left") == title.replace("_", " ")
    model = AdaptedCLIP(clip)
    own = evaluate(model, data, rounds=1, progress=False)
    heat = shown(plots.cases(model, data, own, "best", 1))[1].images[1].get_array()
    row = own.extremes(1)["best"][0]
    normal = data.filter(row["class_name"], labels=0)
    chosen = [data[row["index"]], *(normal[i] for i in range(min(plots.REFERENCES, len(normal))))]
    images = torch.from_numpy(np.stack([s.image for s in chosen])).movedim(-1, 1) / 255
    names = [row["class_name"]] * len(chosen)
    with torch.no_grad():
        maps = maps_of(model)({"image": images, "class_name": names})[""][0]
    expected = plots.deviations(maps, names, [1] + [0] * (len(chosen) - 1))[0]
    assert np.allclose(heat, expected, atol=1e-3)
    normal = evaluate(model, data.filter(labels=0), rounds=1, progress=False)
    with pytest.raises(ValueError, match="knows no best pictures"):
        plots.cases(model, data, normal, "best")


ROWS = [
    {"step": i, "epoch": 1, "loss": 1 / i, "lr": 0.1, "gradient/a": 2.0, "cosine": 0.5}
    for i in range(1, 41)
]


def test_curves_of_a_history_a_log_or_several_runs(tmp_path):
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    for given in (
        ROWS,
        SimpleNamespace(rows=ROWS),
        tmp_path / "log.jsonl",
        str(tmp_path / "log.jsonl"),
    ):
        figure = plots.curves(given, title="Run")
        assert [ax.get_title() for ax in figure.axes if ax.lines] == ["loss", "cosine", "lr"]
        raw, smooth = figure.axes[0].lines
        assert raw.get_ydata() == pytest.approx([1 / i for i in range(1, 41)])
        assert smooth.get_ydata()[-1] == pytest.approx((1 / 40 + 1 / 39) / 2)
        assert figure.axes[0].get_xlabel() == "step" and figure.get_suptitle() == "Run"
    two = plots.curves({"first": ROWS, "second": ROWS[:9]}, ["loss"])
    assert [text.get_text() for text in two.axes[0].get_legend().get_texts()] == ["first", "second"]
    assert len({str(line.get_linestyle()) for line in two.axes[0].lines[1::2]}) == 2
    gap = plots.curves([*ROWS[:3], ROWS[3] | {"loss": None}], ["loss"])
    assert np.isnan(gap.axes[0].lines[0].get_ydata()[3])


def test_a_column_that_begins_later_is_drawn_from_there():
    """A run that goes on with a loss more than it began with."""
    figure = plots.curves([{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0, "where": 0.5}])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["loss", "where"]
    assert np.isnan(figure.axes[1].lines[0].get_ydata()).tolist() == [True, False]


def test_curves_refuse():
    with pytest.raises(ValueError, match="has not taken a step"):
        plots.curves([])
    with pytest.raises(ValueError, match="no column speed; there are: step, epoch, loss"):
        plots.curves(ROWS, ["speed"])


def test_class_bars(report):
    figure = plots.class_bars(report, "pixel_ap", ["frozen", "darkness"])
    ax = figure.axes[0]
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert [bar.get_width() for bar in ax.patches] == [
        report.classes[name]["pixel_ap"] for name in names
    ]
    assert [bar.get_width() for bar in ax.patches] == sorted(bar.get_width() for bar in ax.patches)
    whisker = ax.lines[0].get_xdata()
    assert tuple(whisker) == report.intervals[names[0]]["pixel_ap"]
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"frozen", "darkness", "this model", f"mean {report.mean['pixel_ap']:.3f}"} <= set(words)
    assert "guessing" not in words and ax.get_xlabel() == "pixel AP"
    best = [text.get_text() for text in plots.class_bars(report).axes[0].get_legend().get_texts()]
    ranked = sorted(report.baselines, key=lambda name: report.baselines[name]["pixel_auroc"])
    assert {name.replace("_", " ") for name in ranked[-2:]} | {"guessing"} <= set(best)
    with pytest.raises(ValueError, match="no figure 'auc'"):
        plots.class_bars(report, "auc")
    with pytest.raises(ValueError, match="no baseline luck"):
        plots.class_bars(report, baselines=["luck"])


def test_anchors_keep_their_distances_where_two_axes_hold_them():
    generator = torch.Generator().manual_seed(0)
    # all points in one plane: nothing is lost
    plane = torch.linalg.qr(torch.randn(16, 2, generator=generator))[0]
    pairs = iter(plane @ torch.randn(4, 2, 2, generator=generator))
    stages = {label: {name: next(pairs) for name in ("a_b", "c")} for label in ("x", "y")}
    figure = plots.anchors(stages)
    for ax, label in zip(figure.axes, stages, strict=True):
        assert [text.get_text() for text in ax.texts] == ["a b", "c"]
        assert ax.get_title().startswith(f"{label}: mean cosine")
        normal, abnormal = (np.array(line.get_data()).T for line in ax.lines[-2:])
        expected = [float((a[:, 0] - a[:, 1]).norm()) for a in stages[label].values()]
        assert np.linalg.norm(normal - abnormal, axis=1) == pytest.approx(expected, rel=1e-4)


def test_saved_files_are_opaque_and_whole(parts, tmp_path):
    path = plots.save(plots.sheet(*parts), tmp_path / "new" / "sheet.png")
    assert [each.name for each in path.parent.iterdir()] == ["sheet.png"]
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGBA"))
    assert (pixels[..., 3] == 255).all() and (pixels[0, 0, :3] == 255).all()
    first = path.read_bytes()
    assert plots.save(plots.sheet(*parts), path).read_bytes() == first


def test_a_notebook_shows_each_figure_once(parts):
    before = plt.get_fignums()
    assert isinstance(plots.sheet(*parts), Figure) and plt.get_fignums() == before


# ---- findings ------------------------------------------------------------------------------------


def finding(kind, rows, verdict="sound"):
    return doctor.Finding(kind, "subject", verdict, verdict == "sound", ["because"], rows)


def test_a_finding_shows_every_value_beside_its_null_and_two_errors():
    rows = [
        {
            "class": "bolt",
            "balance": 0.7,
            "even": 0.5,
            "±": 0.05,
            "mask share": 0.1,
            "mask ±": 0.01,
            "inverted": 0.9,
        },
        {"class": "nut", "balance": 0.4, "even": 0.5, "±": 0.05, "mask share": None},
    ]
    figure = plots.finding(finding("dataset", rows))
    balance, masks = figure.axes
    assert [text.get_text() for text in balance.get_yticklabels()] == ["bolt", "nut"]
    null, value = balance.get_lines()[:2]
    np.testing.assert_allclose(null.get_xdata(), [0.5, 0.5])
    np.testing.assert_allclose(value.get_xdata(), [0.7, 0.4])
    ends = balance.containers[0][2][0].get_segments()
    np.testing.assert_allclose(ends[0][:, 0], [0.6, 0.8])
    assert np.isnan(masks.get_lines()[1].get_xdata()[1]) and "because" in figure.get_suptitle()


def test_panels_without_a_number_are_left_out_and_unknown_kinds_named():
    rows = [{"class": "bolt", "balance": 0.7, "even": 0.5, "±": 0.05, "mask share": None}]
    assert len(plots.finding(finding("dataset", rows)).axes) == 1
    with pytest.raises(ValueError, match="'horoscope' cannot be drawn; known are checkpoint"):
        plots.finding(finding("horoscope", rows))
    with pytest.raises(ValueError, match="no number to draw"):
        plots.finding(finding("losses", rows))


def test_every_kind_that_the_doctor_knows_can_be_drawn():
    assert set(charts._PANELS) == set(VERDICTS)


def test_a_figure_leaves_every_setting_as_it_was_found(monkeypatch):
    """As in a notebook, where the first figure switches interactive mode on: that must stay."""
    before = dict(plt.rcParams)
    real = plt.figure
    monkeypatch.setattr(
        plt, "figure", lambda **o: (plt.rcParams.update(interactive=True), real(**o))[1]
    )
    plots.sheet([np.zeros((8, 8, 3))])
    assert plt.rcParams["interactive"]
    plt.rcParams.update(interactive=before["interactive"])
    assert dict(plt.rcParams) == before


def test_names_of_neighbours_stand_on_different_sides_and_at_the_edge_inside():
    ax = plt.figure().add_subplot()
    spots = np.array([[0.0, 0.0], [0.1, 0.1], [-1.0, -1.0], [1.0, 1.0]])
    plots.name_points(ax, ["left_low", "right_high", "first", "last"], spots)
    sides = {text.get_text(): (text.get_ha(), text.get_va()) for text in ax.texts}
    assert sides == {
        "left low": ("right", "top"),
        "right high": ("left", "bottom"),
        "first": ("left", "bottom"),
        "last": ("right", "top"),
    }
    plots.name_points(ax, ["alone"], np.zeros((1, 2)))
