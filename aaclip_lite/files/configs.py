"""What a CLIP's config and weights may hold: sizes that a machine can build, numbers that are finite,
and no part of open_clip's that the walk through the blocks does not follow.

Use: `refuse_unbounded(config, "clip.json")`, `foreign_parts(config)`, `refuse_endless(state, "clip.pt")`.
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

FOREIGN = (
    "custom_text",
    "multimodal_cfg",
    "timm_model_name",
    "hf_model_name",
    "attentional_pool",
    "embed_cls",
    "proj_bias",
    "act_kwargs",
)


def foreign_parts(config: dict) -> list[str]:
    """Each part that is not of a plain CLIP, as words for a message."""
    vision = config["vision_cfg"]
    parts = (config, vision, config["text_cfg"])
    foreign = [f"{key} = {part[key]!r}" for part in parts for key in FOREIGN if part.get(key)]
    if isinstance(vision.get("layers"), list):
        foreign.append("a ResNet for pictures")
    return foreign


def refuse_odd_size(config: dict, label: str) -> None:
    """Whole patches must fill the picture."""
    size = config["vision_cfg"].get("image_size", 224)
    patch = config["vision_cfg"].get("patch_size", 16)
    if not isinstance(size, int) or not isinstance(patch, int) or size < patch or size % patch:
        raise WeightsError(
            f"{label}: image_size = {size!r} is not a multiple of the patch size {patch!r}; give one"
        )


def foreign_blocks(model) -> list[str]:
    """What open_clip built otherwise than a plain CLIP, whatever the config said."""
    blocks = [*model.visual.transformer.resblocks, *model.transformer.resblocks]
    built = {
        "vision pool_type": (model.visual.pool_type, "tok"),
        "text pool_type": (model.text_pool_type, "argmax"),
        "blocks": ({type(block).__name__ for block in blocks}, {"ResidualAttentionBlock"}),
        "causal mask": (model.attn_mask is not None, True),
    }
    return [f"{what} = {value!r}" for what, (value, plain) in built.items() if value != plain]


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
