"""What a CLIP's config and weights may hold: sizes that a machine can build, numbers that are finite.

Use: `refuse_unbounded(config, "clip.json")`, `refuse_endless(state, "clip.pt")`.
"""

from torch import Tensor

from .weights import WeightsError

# of what a config may ask for: several times the largest CLIP there is
LARGEST = {
    "embed_dim": 8192,
    "width": 16_384,
    "layers": 256,
    "heads": 256,
    "patch_size": 512,
    "context_length": 4096,
    "vocab_size": 2_000_000,
}


def refuse_unbounded(config: object, label: str) -> None:
    """Numbers that no CLIP has; building one of them would take all memory."""
    if not isinstance(config, dict):
        return
    for part in ("vision_cfg", "text_cfg"):
        if not isinstance(config.get(part, {}), dict):
            raise WeightsError(f"{label}: {part} is {config[part]!r}, expected an object")
    inner = [(part, config.get(part, {})) for part in ("vision_cfg", "text_cfg")]
    for place, values in [("config", config), *inner]:
        for name, largest in LARGEST.items():
            value = values.get(name)
            if value is None or (name == "layers" and isinstance(value, list)):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= largest:
                raise WeightsError(
                    f"{label}: {place}.{name} is {value!r}, expected a whole number from 1 to "
                    f"{largest}"
                )


def refuse_endless(state: dict[str, Tensor], label: object) -> None:
    for name, values in state.items():
        if values.is_floating_point() and "mask" not in name and not values.isfinite().all():
            raise WeightsError(f"{label}: {name} holds numbers that are not finite; fetch it again")
