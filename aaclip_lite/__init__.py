"""AA-CLIP in small: find defects on products that a model has never seen.

Special: a name is imported when it is first used, so `import aaclip_lite` itself takes
milliseconds. The modules beside this file are the method; the folders around it are described in
their own first lines.
Use: `import aaclip_lite as aa`, then `aa.load_clip("lite")`, `aa.losses.focal(...)`,
`aa.evaluate(model, data)`.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {  # public name -> where it is defined
    "AdaptedCLIP": "model.AdaptedCLIP",
    "AnomalyDetector": "detector.AnomalyDetector",
    "Recipe": "recipe.Recipe",
    "evaluate": "evaluation.evaluate",
    "fetch": "files.fetch.fetch",
    "load_clip": "load.load_clip",
    "open_dataset": "datasets.open_dataset",
    "scale_up": "service.scaling.scale_up",
    "train_image": "service.runs.train_image",
    "train_text": "service.runs.train_text",
}
_ROOMS = {  # public name -> module; those of rings keep their old short names
    "adapters": "adapters",
    "check": "course.check",
    "checkpoint": "checkpoint",
    "decision": "decision",
    "doctor": "doctor",
    "environment": "files.environment",
    "explorer": "course.explorer",
    "factory": "world.factory",
    "ledger": "course.ledger",
    "losses": "losses",
    "memory": "service.memory",
    "metrics": "metrics",
    "plots": "course.plots",
    "prompts": "prompts",
    "recipe": "recipe",
    "references": "references",
    "scoring": "scoring",
    "train": "train",
    "variants": "variants",
    "widgets": "course.widgets",
}
__all__ = sorted([*_HOMES, *_ROOMS])


# called for names that are not here yet (PEP 562): the import waits for the first use
def __getattr__(name: str) -> object:
    if name in _ROOMS:
        return import_module(f"{__name__}.{_ROOMS[name]}")
    if name in _HOMES:
        module, _, attribute = _HOMES[name].rpartition(".")
        return getattr(import_module(f"{__name__}.{module}"), attribute)
    raise AttributeError(f"aaclip_lite has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]  # so that Tab completes what is not imported yet
