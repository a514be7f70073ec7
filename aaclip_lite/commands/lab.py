"""`lab`: how the world, the embedded CLIP and the recipe were made and measured.

Special: the laboratory itself lists its tools; each is a module with a dataclass of options and
run(options). Every number has a range, and what will be written is tried, before any work.
Use: `python -m aaclip_lite lab`, `python -m aaclip_lite lab bench --help`.
"""

from dataclasses import fields
from importlib import import_module
from pathlib import Path

from . import _shared as shared

PACKAGE = __package__.rpartition(".")[0]


class Command:
    """The laboratory: measure and make again what the course stands on; `lab NAME --help`."""


def tools() -> dict[str, tuple[str, str, str]]:
    """{name: (module, its dataclass of options, what it does)}, as the laboratory lists them."""
    return import_module(f"{PACKAGE}.lab").TOOLS


def overview() -> str:
    lines = "\n".join(f"  {name:14}{about}" for name, (_, _, about) in tools().items())
    return f"usage: python -m aaclip_lite lab NAME [options]\n\n{lines}"


# what a number may be, by the name of its option in every tool
LIMITS = {
    **dict.fromkeys(("batch", "count", "every", "replays", "seeds", "shots", "sizes"), (1, 10_000)),
    **dict.fromkeys(("references", "rounds", "steps", "text_steps", "image_steps"), (1, 100_000)),
    **dict.fromkeys(("phrase_weight", "patch_weight", "where_weight", "pixel_weight"), (0, 100)),
    "damage_share": (0, 1),
    "hard_things": (0.01, 1000),
    "keep": (1, 256),
    "layers": (4, 64),
    "lr": (1e-9, 1),
    "minutes": (0, 100_000),  # 0: nothing new is measured
    "patch_size": (8, 16),
    "pool": (100, 1_000_000),
    "save_every": (0.01, 10_000),
    "seconds": (0, 100_000),
    "seed": (0, shared.LARGEST_SEED),
    "threads": (1, 256),
    "unet_steps": (1, 100_000),
    "warmup": (1, 100_000),
    "weight_decay": (0, 10),
    "workers": (1, 256),
}
WRITTEN = ("out", "runs", "data", "masks")


def refuse_absurd(options) -> None:
    for field in fields(options):
        value, several = getattr(options, field.name), isinstance(field.default, tuple)
        option = f"--{field.name.replace('_', '-')}"
        if several and field.default and not value:
            raise ValueError(f"{option}: give at least one value")
        limits = LIMITS.get("seed" if several and field.name == "seeds" else field.name)
        for number in (value if several else (value,)) if limits else ():
            shared.in_range(option, number, *limits)
        if field.name == "device":
            shared.Backbone(device=value)
        if field.name in WRITTEN and not getattr(options, "report", False):
            file = Path(str(field.default)).suffix  # a tool's own choice tells which it is
            (shared.a_file_to_write if file else shared.a_folder_to_write)(option, value)


def tool(name: str):
    """(its dataclass of options, its run(options))"""
    if name not in tools():
        raise ValueError(f"no laboratory tool {name!r}\n{overview()}")
    module, options, _ = tools()[name]
    home = import_module(f"{PACKAGE}.{module}")

    def run(filled):
        refuse_absurd(filled)
        return home.run(filled)

    return getattr(home, options), run
