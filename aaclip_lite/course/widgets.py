"""Sliders, choices and lines to type in around a function of a setting. The only file that imports
ipywidgets.

live(explorer.one, start, {"blur": (0.0, 2.5, 0.1)})  # Explorer's view of a picture, with a slider
brush(picture, judge)  # a picture to paint a defect on, judged after every line
"""

import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import ipywidgets
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .explorer import Setting
from .views import View


class Panel(ipywidgets.VBox):
    """Controls by name, and what they say now: `panel.setting`, `panel.view`."""

    def __init__(self, controls: Mapping[str, ipywidgets.Widget], buttons=(), shown=True) -> None:
        """shown: whether a picture stands between the controls and the note."""
        self.controls, self.buttons = controls, buttons
        self.picture, self.note = ipywidgets.Image(format="jpeg"), ipywidgets.HTML()
        row = [*controls.values(), *buttons]
        below = [self.picture, self.note] if shown else [self.note]
        super().__init__([ipywidgets.HBox(row, layout={"flex_flow": "row wrap"}), *below])

    def __repr__(self) -> str:
        return f"(live: run this cell in Jupyter and change {', '.join(self.controls)})"

    def show(self, view: View, end: str = "") -> None:
        self.picture.value = view.jpeg
        self.note.value = html.escape(view.text + end)

    def follow(self, update: Callable[[], None]) -> "Panel":
        """Call it now, and whenever a control is moved."""
        for control in self.controls.values():
            control.observe(lambda change: update(), "value")
        update()
        return self


def live(
    show: Callable[[Setting], View], setting: Setting, choices: Mapping[str, Sequence]
) -> Panel:
    """show: Explorer.one or .many. choices: {field of Setting: what it may be}, a control for each.

    (lowest, highest, step) makes a slider, a list a choice, () a line to type in.
    """
    controls = {}
    for name, allowed in choices.items():
        values = getattr(setting, name)
        for i, value in enumerate(values) if isinstance(values, tuple) else ((None, values),):
            label = name.replace("_", " ") if i is None else f"level {i + 1}"
            controls[label] = _control(label, value, allowed)
    panel = Panel(controls)

    def update() -> None:
        began = time.time()
        chosen = {label.replace(" ", "_"): each.value for label, each in controls.items()}
        if weights := tuple(chosen.pop(name) for name in list(chosen) if name.startswith("level_")):
            chosen["level_weights"] = weights
        try:
            panel.setting = replace(setting, **chosen)
            panel.view = show(panel.setting)
        # a setting that cannot be, such as no level at all: the last picture stays
        except ValueError as error:
            panel.note.value = f"<b>{html.escape(str(error))}</b>"
        else:
            panel.show(panel.view, f" ({1000 * (time.time() - began):.0f} ms)")

    return panel.follow(update)


def _control(label: str, value, allowed: Sequence) -> ipywidgets.Widget:
    options = {"description": label, "value": value, "layout": {"width": "30em"}}
    options["style"] = {"description_width": "9em"}
    if not allowed:
        options["placeholder"] = "the recipe's own sentences"
        return ipywidgets.Text(continuous_update=False, **options)
    if isinstance(allowed, tuple):
        low, high, step = allowed
        kind = ipywidgets.FloatSlider if isinstance(step, float) else ipywidgets.IntSlider
        return kind(min=low, max=high, step=step, **options)
    kind = ipywidgets.Dropdown if isinstance(allowed[0], str) else ipywidgets.SelectionSlider
    return kind(options=allowed, **options)


def stroke(
    picture: np.ndarray, points: Sequence[tuple[int, int]], width: int, shade: float
) -> tuple[np.ndarray, np.ndarray]:
    """(picture, mask) with a line through `points` (x, y); shade: -1 black to 1 white, less lets
    more of the surface through.
    """
    line = Image.new("L", picture.shape[1::-1])
    pen = ImageDraw.Draw(line)
    pen.line(points, 255, width, joint="curve")
    for x, y in points:  # round ends; a single point is a dab
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    cover = np.asarray(line.filter(ImageFilter.GaussianBlur(0.7)), np.float32)[..., None] / 255
    ink = 255.0 * (shade > 0)
    painted = picture + (ink - picture) * abs(shade) * cover
    return np.uint8(painted.round()), np.uint8(cover[..., 0] > 0.5)


def brush(picture: np.ndarray, judge: Callable[[np.ndarray], View]) -> Panel:
    """Paint on a picture (H, W, 3): `line to here` draws on to where the sliders point, and `judge`
    shows what it makes of it. `panel.painted` and `panel.mask` hold the work.
    """
    height, width = picture.shape[:2]
    places = {"right": (width // 2, (0, width - 1, 1)), "down": (height // 2, (0, height - 1, 1))}
    places |= {"width": (4, (1, 30, 1)), "shade": (-0.6, (-1.0, 1.0, 0.1))}
    buttons = [ipywidgets.Button(description=text) for text in ("line to here", "start anew")]
    panel = Panel({name: _control(name, *each) for name, each in places.items()}, buttons)

    def paint(button=None) -> None:
        at = {name: control.value for name, control in panel.controls.items()}
        here = (at["right"], at["down"])
        panel.points = [*panel.points, here] if button is buttons[0] else []
        panel.painted, panel.mask = stroke(picture, panel.points, at["width"], at["shade"])
        panel.show(judge(panel.painted))

    for button in buttons:
        button.on_click(paint)
    paint()
    return panel


def claims() -> Panel:
    """The ledger with a choice of document, verdict, kind of error, and words to look for."""
    from . import ledger

    choices = {"document": ledger.DOCUMENTS, "verdict": ledger.VERDICTS, "kind": ledger.KINDS}
    controls: dict[str, ipywidgets.Widget] = {
        name: ipywidgets.Dropdown(options=[("all", None), *((each, each) for each in known)])
        for name, known in choices.items()
    }
    controls["words"] = ipywidgets.Text(continuous_update=False)
    for name, control in controls.items():
        control.description = name
    panel = Panel(controls, shown=False)

    def update() -> None:
        panel.rows = ledger.select(**{name: control.value for name, control in controls.items()})
        panel.note.value = f"{len(panel.rows)} claims{ledger.html(panel.rows).data}"

    return panel.follow(update)
