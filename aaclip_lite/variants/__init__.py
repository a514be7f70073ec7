"""Systems beside the method, one folder each: `aa.variants.contrastive`, `.distillation`,
`.concepts` ...

Special: a system is imported when it is first used; systems never import each other.
"""

from importlib import import_module
from pathlib import Path

from torch import Tensor

from ..checkpoint import MismatchError, load_adapter
from ..files.door import door
from ..files.weights import checksum
from ..model import STAGES, AdaptedCLIP

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


@door(model=AdaptedCLIP, text=(str, Path, None), image=(str, Path, None))
def load_base(
    model: AdaptedCLIP,
    text: str | Path | None = None,
    image: str | Path | None = None,
) -> list[str]:
    """Begin with the adapters of a base; the names of the weights that stay new.

    text, image: adapter files of the method, or one run's folder as `text`; None leaves a side.
    """
    if text is not None and Path(text).is_dir():
        text, image = (Path(text) / f"{stage}.safetensors" for stage in STAGES)
    base = AdaptedCLIP(model.clip, model.recipe)
    taken: dict[str, Tensor] = {}
    for path in (text, image):
        if path is not None:
            try:
                stage = load_adapter(path, base)["stage"]
            except MismatchError as error:
                raise MismatchError(f"{error}; take a run of the method with this recipe") from None
            taken |= base.trainable(stage)
            part = f"{stage}_adapter"
            model.load_part(part, getattr(base, part).state_dict(), str(path))
    model.base = checksum(taken)
    names = {name for stage in STAGES for name in model.trainable(stage)}
    return sorted(names - taken.keys())
