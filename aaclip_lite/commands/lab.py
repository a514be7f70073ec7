"""`lab`: how the world, the embedded CLIP and the recipe were made and measured.

Special: a tool is a module that brings a dataclass of options and run(options); one that is not
there is not offered.
Use: `python -m aaclip_lite lab`, `python -m aaclip_lite lab bench --help`.
"""

from importlib import import_module
from importlib.util import find_spec

# name: (module, its dataclass of options, what it does)
TOOLS = {
    "pretrain": ("world.pretrain", "Pretraining", "Make the embedded CLIP anew, from nothing."),
    "gates": ("lab.gates", "Gates", "Measure the embedded CLIP and write its card."),
    "yardsticks": (
        "lab.yardsticks",
        "Yardsticks",
        "Measure how hard the factory's world is and write its card.",
    ),
    "deviations": (
        "lab.deviations",
        "Deviations",
        "Measure what each choice of the course recipe is worth.",
    ),
    "levers": (
        "lab.levers",
        "Levers",
        "Measure what each part of pretraining is worth, in short runs.",
    ),
    "bench": ("lab.bench", "Bench", "Measure speed on this machine."),
}
PACKAGE = __package__.rpartition(".")[0]


class Command:
    """The laboratory: measure and make again what the course stands on; `lab NAME --help`."""


def offered() -> dict[str, str]:
    """Tools that are there, and what they do."""
    return {
        name: about
        for name, (module, _, about) in TOOLS.items()
        if find_spec(f"{PACKAGE}.{module.partition('.')[0]}")
    }


def overview() -> str:
    lines = "\n".join(f"  {name:12}{about}" for name, about in offered().items())
    return f"usage: python -m aaclip_lite lab NAME [options]\n\n{lines}"


def tool(name: str):
    """(its dataclass of options, its run(options))"""
    if name not in offered():
        raise ValueError(f"no laboratory tool {name!r}\n{overview()}")
    module, options, _ = TOOLS[name]
    home = import_module(f"{PACKAGE}.{module}")
    return getattr(home, options), home.run
