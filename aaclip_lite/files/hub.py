"""Weights that a name and a tag stand for, open_clip's and TinyCLIP's: from the cache, or else from
the network.

Special: without either, the remedies at once, not after the hub's own minute of retries. TinyCLIP,
a real CLIP, trained on photographs, that is small enough for a laptop (23 M weights), is not known
to open_clip: here are its config, where its weights come from, and the checksum by which a download
is held. It runs with GELU. Its tensors bear open_clip's names below `_image_encoder.module.` and
`_text_encoder.module.`, which weights.read_state takes off.
Sources: github.com/microsoft/Cream, TinyCLIP/src/open_clip (model_configs, pretrained.py, model.py;
MIT); two projects that fetched the file give the same SHA-256. Not reached from where this was
written.
Use: `fetched("ViT-B-32", "openai", entry, open_clip.download_pretrained)`,
`config, file = named("TinyCLIP-ViT-8M-16", "yfcc15m")`.
"""

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

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


def fetched(name: str, tag: str, entry: dict, download: Callable[[dict], str]) -> str:
    """The file of a model's tag. entry: what open_clip says of it, download: how it
    fetches that.
    """
    import huggingface_hub

    repo, _, file = entry.get("hf_hub", "").rpartition("/")
    usual = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
    for candidate in (file,) if file else usual:
        cached = huggingface_hub.try_to_load_from_cache(repo, candidate) if repo else None
        if isinstance(cached, str):
            return cached
    try:
        # the hub's own retries take a minute
        if not huggingface_hub.constants.HF_HUB_OFFLINE and not getproxies():
            host = urlsplit(huggingface_hub.constants.ENDPOINT if repo else entry["url"])
            socket.create_connection((host.hostname, host.port or 443), timeout=5).close()
        return download(entry)
    # every network library has its own kinds of errors; the reader needs the remedies
    except Exception as error:
        raise FileNotFoundError(
            f"weights {tag!r} of {name} are not in the cache and cannot be fetched "
            f"({type(error).__name__}). Either give a local file, load_clip({name!r}, "
            "weights='path/to/file'), or set the environment variable HF_HUB_CACHE to a cache "
            "folder that holds them."
        ) from error


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

    def verify(file: Path) -> None:
        refuse_other(file, FILE, SHA256)

    folder = generated_path("weights")
    try:
        with only_one(folder):
            return download(ADDRESSES, folder / FILE, verify, None, MOST)
    except FetchError as error:
        raise FileNotFoundError(
            f"{error}\nEither give a local file, load_clip({NAME!r}, weights='path/to/file'), or put "
            f"{FILE} into {folder}"
        ) from error
