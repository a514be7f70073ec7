"""Systems beside the method, one folder each: `aa.variants.contrastive`, `.distillation`,
`.concepts` ...

Special: a system is imported when it is first used; systems never import each other.
"""

from importlib import import_module
from pathlib import Path

__all__ = sorted(file.parent.name for file in Path(__file__).parent.glob("*/__init__.py"))


def __getattr__(name: str):
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"aaclip_lite.variants has no {name!r}; it has {', '.join(__all__)}")


def build(said: dict, clip, recipe, file: object = "this header"):
    """The model that a checkpoint's header describes: {"name": "cross_attention", ...}."""
    options = {key: value for key, value in said.items() if key != "name"}
    name = said.get("name")
    home = import_module(f"{__name__}.{name}") if name in __all__ else None
    if not hasattr(home, "Model"):
        raise ValueError(f"{file}: variant {name!r} is not known here; get a newer aaclip_lite")
    try:
        return home.Model(clip, recipe, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{file}: variant {name!r} with {options} cannot be built ({error}); fetch the file "
            "again or train again"
        ) from error
