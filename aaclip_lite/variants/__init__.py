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
