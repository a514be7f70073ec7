"""Sliders, choices and lines to type in around a function of a setting. The only file that imports
ipywidgets.

live(explorer.one, start, {"blur": (0.0, 2.5, 0.1)})  # Explorer's view of a picture, with a slider
"""

import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import ipywidgets

from .explorer import Setting
from .views import View


class Panel(ipywidgets.VBox):
    """Controls by name, and what they say now: `panel.setting`, `panel.view`."""

    def __repr__(self) -> str:
        return f"(live: run this cell in Jupyter and change {', '.join(getattr(self, 'controls', ()))})"


def live(
    show: Callable[[Setting], View], setting: Setting, choices: Mapping[str, Sequence]
) -> Panel:
    """show: Explorer.one or .many. choices: {field of Setting: what it may be}, a control for each.

    (lowest, highest, step) makes a slider, a list a choice, () a line to type in.
    """
    picture, note, panel = ipywidgets.Image(format="jpeg"), ipywidgets.HTML(), Panel()
    panel.controls = {}
    for name, allowed in choices.items():
        values = getattr(setting, name)
        for i, value in enumerate(values) if isinstance(values, tuple) else ((None, values),):
            label = name.replace("_", " ") if i is None else f"level {i + 1}"
            panel.controls[label] = _control(label, value, allowed)

    def update(_=None) -> None:
        chosen, began = (
            {label.replace(" ", "_"): each.value for label, each in panel.controls.items()},
            time.time(),
        )
        if weights := tuple(chosen.pop(name) for name in list(chosen) if name.startswith("level_")):
            chosen["level_weights"] = weights
        try:
            panel.setting = replace(setting, **chosen)
            panel.view = show(panel.setting)
        except (
            ValueError
        ) as error:  # a setting that cannot be, such as no level at all: the last picture stays
            note.value = f"<b>{html.escape(str(error))}</b>"
        else:
            picture.value = panel.view.jpeg
            note.value = html.escape(f"{panel.view.text} ({1000 * (time.time() - began):.0f} ms)")

    for control in panel.controls.values():
        control.observe(update, "value")
    update()
    controls = ipywidgets.HBox(list(panel.controls.values()), layout={"flex_flow": "row wrap"})
    panel.children = [controls, picture, note]
    return panel


def _control(label: str, value, allowed: Sequence) -> ipywidgets.Widget:
    options = {
        "description": label,
        "value": value,
        "style": {"description_width": "9em"},
        "layout": {"width": "30em"},
    }
    if not allowed:
        return ipywidgets.Text(
            continuous_update=False, placeholder="the recipe's own sentences", **options
        )
    if isinstance(allowed, tuple):
        low, high, step = allowed
        kind = ipywidgets.FloatSlider if isinstance(step, float) else ipywidgets.IntSlider
        return kind(min=low, max=high, step=step, **options)
    kind = ipywidgets.Dropdown if isinstance(allowed[0], str) else ipywidgets.SelectionSlider
    return kind(options=allowed, **options)


def claims() -> Panel:
    """The ledger with a choice of document, verdict, kind of error, and words to look for."""
    from . import ledger

    anything = "all"
    choices = {
        "document": tuple(ledger.DOCUMENTS),
        "verdict": ledger.VERDICTS,
        "kind": tuple(ledger.KINDS),
    }
    note, panel = ipywidgets.HTML(), Panel()
    panel.controls = {
        name: ipywidgets.Dropdown(options=(anything, *options), description=name)
        for name, options in choices.items()
    }
    panel.controls["words"] = ipywidgets.Text(description="words", continuous_update=False)

    def update(_=None) -> None:
        asked = {name: control.value for name, control in panel.controls.items()}
        wanted = {name: value for name, value in asked.items() if value != anything}
        panel.rows = ledger.select(**wanted)
        note.value = f"{len(panel.rows)} claims{ledger.html(panel.rows)}"

    for control in panel.controls.values():
        control.observe(update, "value")
    update()
    controls = ipywidgets.HBox(list(panel.controls.values()), layout={"flex_flow": "row wrap"})
    panel.children = [controls, note]
    return panel
