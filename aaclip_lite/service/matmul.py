"""Which library multiplies the fp32 matrices of a large CLIP on a CPU: MKL, or oneDNN where it pays.

Special: torch's wheel holds both and asks MKL. On processors with full AVX-512 units oneDNN was
found twice as fast, on others level (docs/speed.md), so one product is measured both ways, at the
model's own width. Its knob is called "bf16": nothing is rounded where AMX is missing, and where
results move the measurement refuses it.
Use: `with quick_products(model.clip): ...`; a run's first line says which it was.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F

from ..clip import FrozenCLIP

PAYS = 1.3  # times faster; what is nearer to 1 could fall differently in two starts of one run
OFF_BY = 1e-5  # of the root mean square of a product
WIDE = 512  # narrower models are through before the measurement is
ROWS = 256


@contextmanager
def quick_products(clip: FrozenCLIP) -> Iterator[bool]:
    """`choose`, until the end of the block."""
    before = precision()
    taken = choose(clip)
    try:
        yield taken
    finally:
        if taken:
            ask(before)


def choose(clip: FrozenCLIP) -> bool:
    """From here on oneDNN multiplies if that pays for this CLIP; True: so it is."""
    wide = clip.vision_width >= WIDE and clip.text_projection.device.type == "cpu"
    taken = wide and pays(clip.vision_width)
    if taken:
        ask("bf16")
    return taken


def precision() -> str | None:
    """What torch was told about fp32 products on CPUs; None: this torch has no such knob."""
    return getattr(getattr(torch.backends.mkldnn, "matmul", None), "fp32_precision", None)


def ask(precision: str) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = precision


@cache
def pays(width: int) -> bool:
    """Is oneDNN's product of this width faster by `PAYS`, and the same? A fifth of a second."""
    before = precision()
    # whoever has set it, has decided
    if before != "none" or not torch.backends.mkldnn.is_available():
        return False
    x = torch.randn(ROWS, width, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(4 * width, width, generator=torch.Generator().manual_seed(1))
    seconds = {}
    products = {}
    try:
        for way in ("none", "bf16") * 3:
            ask(way)
            began = time.process_time()
            products[way] = F.linear(x, weight)
            spent = time.process_time() - began
            seconds[way] = min(seconds.get(way, spent), spent)
    finally:
        ask(before)
    gap = (products["bf16"] - products["none"]).square().mean().sqrt()
    same = gap <= OFF_BY * products["none"].square().mean().sqrt()
    return bool(same) and seconds["none"] >= PAYS * seconds["bf16"]
