"""`lab`: how the world, the embedded CLIP and the recipe were made and measured.

Special: the laboratory itself lists its tools; each is a module with a dataclass of options and
run(options).
Use: `python -m aaclip_lite lab`, `python -m aaclip_lite lab bench --help`.
"""

from importlib import import_module

PACKAGE = __package__.rpartition(".")[0]


class Command:
    """The laboratory: measure and make again what the course stands on; `lab NAME --help`."""


def tools() -> dict[str, tuple[str, str, str]]:
    """{name: (module, its dataclass of options, what it does)}, as the laboratory lists them."""
    try:
        return import_module(f"{PACKAGE}.lab").TOOLS
    except ModuleNotFoundError:  # a package without its laboratory offers none
        return {}


def overview() -> str:
    lines = "\n".join(f"  {name:12}{about}" for name, (_, _, about) in tools().items())
    return f"usage: python -m aaclip_lite lab NAME [options]\n\n{lines}"


def tool(name: str):
    """(its dataclass of options, its run(options))"""
    if name not in tools():
        raise ValueError(f"no laboratory tool {name!r}\n{overview()}")
    module, options, _ = tools()[name]
    home = import_module(f"{PACKAGE}.{module}")
    return getattr(home, options), home.run
