"""AA-CLIP in small: find defects on products that a model has never seen.

Special: a name is imported when it is first used, so `import aaclip_lite` itself takes milliseconds.
Use: `import aaclip_lite as aa`, then `aa.load_clip("lite")`, `aa.losses.focal(...)`, `aa.evaluate(model, data)`.
"""

import sys
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_HOMES = {  # public name -> the module that defines it
    "AdaptedCLIP": "model",
    "AnomalyDetector": "detector",
    "Recipe": "recipe",
    "evaluate": "evaluate",
    "load_clip": "backbone",
    "open_dataset": "datasets",
    "train_image": "train",
    "train_text": "train",
}
_ROOMS = ["adapters", "check", "checkpoint", "doctor", "environment", "explorer", "factory", "gates", "losses"]
_ROOMS += ["memory", "metrics", "plots", "prompts", "recipe", "scoring", "widgets", "yardsticks"]
__all__ = sorted([*_HOMES, *_ROOMS])


def __getattr__(name):
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"aaclip_lite has no {name!r}; it has {', '.join(__all__)}")


def __dir__():
    return [*globals(), *__all__]


class _Package(ModuleType):
    """Importing `aaclip_lite.evaluate` makes Python store that module here, over the function of the same name."""

    def __setattr__(self, name, value):
        if isinstance(value, ModuleType) and _HOMES.get(name) == name:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
