"""TinyCLIP: a real CLIP, trained on photographs, that is small enough for a laptop (23 M weights).

Special: open_clip does not know it; here are its config, where its weights come from, and the
checksum by which a download is held. It runs with GELU. Its tensors bear open_clip's names below
`_image_encoder.module.` and `_text_encoder.module.`, which weights.read_state takes off.
Sources: github.com/microsoft/Cream, TinyCLIP/src/open_clip (model_configs, pretrained.py, model.py;
MIT); two projects that fetched the file give the same SHA-256. Not reached from where this was
written.
Use: `config, file = named("TinyCLIP-ViT-8M-16", "yfcc15m")`.
"""

from pathlib import Path

from .environment import generated_path
from .keep import only_one

NAME = "TinyCLIP-ViT-8M-16"
TAG = "yfcc15m"
CONFIG = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 224, "layers": 10, "width": 256, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 256, "heads": 4, "layers": 3},
}
FILE = "TinyCLIP-ViT-8M-16-Text-3M-YFCC15M.pt"
ADDRESSES = (f"https://github.com/wkcn/TinyCLIP-model-zoo/releases/download/checkpoints/{FILE}",)
SHA256 = "3d9f86a556cd13acc1aa6cc18495a79ffd1f58b6f17a552400bdefd244c3a92c"
MOST = 300 * 10**6  # bytes; 47 MB in half precision, whatever else it may carry


def named(source, weights) -> tuple:
    """load_clip's first two arguments; TinyCLIP's name becomes its config, its tag a file."""
    if source not in (NAME, f"{NAME}-Text-3M"):
        return source, weights
    if weights == "own":
        raise ValueError(f"which weights of {NAME}? {TAG!r}, a file, or None for random ones")
    if isinstance(weights, str) and weights.lower() == TAG and not Path(weights).exists():
        weights = _file()
    return CONFIG, weights


def _file() -> Path:
    """Of the cache, else fetched; what fetches is imported by those who need it."""
    from .download import FetchError, download, refuse_other

    def check(file: Path) -> None:
        refuse_other(file, FILE, SHA256)

    folder = generated_path("weights")
    try:
        with only_one(folder):
            return download(ADDRESSES, folder / FILE, check, None, MOST)
    except FetchError as error:
        raise FileNotFoundError(
            f"{error}\nEither give a local file, load_clip({NAME!r}, weights='path/to/file'), or put "
            f"{FILE} into {folder}"
        ) from error
