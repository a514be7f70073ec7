"""What open_clip's configs may ask for that the walk through the blocks does not follow.

Use: `foreign_parts(config)`, `refuse_odd_size(config, "config.json")`
"""

from .weights import WeightsError

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
