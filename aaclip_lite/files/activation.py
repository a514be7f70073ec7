"""What the wrong activation costs: the same weights run twice on one fixed input each.

Use: `activation_cost(clip, clip.with_activation("gelu"))`, `tell(clip, "quick_gelu", "a.pt")`
"""

import warnings

import torch


@torch.no_grad()
def activation_cost(clip, twin) -> tuple[float, float]:
    """Relative change of the twin's features of one picture and of one sentence."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, clip.image_size, clip.image_size, generator=generator)
    picture = clip.preprocess(noise.to(clip.text_projection.device))
    sentence = ["a photo of a damaged part."]
    image = twin.encode_image(picture)
    text = twin.encode_text(sentence)
    image_change = (clip.encode_image(picture) - image).norm() / image.norm()
    text_change = (clip.encode_text(sentence) - text).norm() / text.norm()
    return float(image_change), float(text_change)


def tell(clip, trained_with: str, label: str) -> None:
    """Warn, where load_clip was called, that weights run with another activation than theirs."""
    image_change, text_change = clip.activation_cost(trained_with)
    warnings.warn(
        f"{label}: trained with {trained_with}, run with {clip.activation}. Image features change "
        f"by {image_change:.1%}, text features by {text_change:.1%} (relative length, one fixed "
        "input each)",
        stacklevel=4,
    )
