"""What a CLIP's config and weights may hold.

Special: sizes are ones that a machine can build, numbers are finite, and no part of open_clip's is
let in that the walk through the blocks does not follow.
Use: `refuse_unbounded(config, "clip.json")`, `foreign_parts(config)`, `refuse_endless(state, "clip.pt")`.
"""

from torch import Tensor

from .checked import anything, either, fields, integer, listing, maybe
from .weights import WeightsError

_SIZES = {  # several times those of the largest CLIP there is
    "embed_dim": maybe(integer(1, 8192)),
    "width": maybe(integer(1, 16_384)),
    "layers": maybe(either(listing(anything), integer(1, 256))),
    "heads": maybe(integer(1, 256)),
    "patch_size": maybe(integer(1, 512)),
    "context_length": maybe(integer(1, 4096)),
    "vocab_size": maybe(integer(1, 2_000_000)),
}
_TOWER = fields(others=True, **_SIZES)
_CONFIG = fields(others=True, vision_cfg=_TOWER, text_cfg=_TOWER, **_SIZES)

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
    try:
        _CONFIG(config, "config")
    except ValueError as error:
        raise WeightsError(f"{label}: {error}") from error


def refuse_endless(state: dict[str, Tensor], label: object) -> None:
    for name, values in state.items():
        if values.is_floating_point() and "mask" not in name and not values.isfinite().all():
            raise WeightsError(f"{label}: {name} holds numbers that are not finite; fetch it again")
