"""Weights that open_clip knows by a tag: from the cache, or else from the network.

Special: without either, the two remedies at once, not after the hub's own minute of retries.
Use: `fetched("ViT-B-32", "openai", entry, open_clip.download_pretrained)`
"""

import socket
from collections.abc import Callable
from urllib.parse import urlsplit
from urllib.request import getproxies


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
