"""How matrices are multiplied: by which library a large CLIP's in fp32 on a CPU, MKL or oneDNN where
it pays; and in bf16 on request: half the bits in products, weights and results in fp32.

Special: torch's wheel holds both libraries and asks MKL. On processors with full AVX-512 units oneDNN
was found twice as fast, on others level (docs/speed.md), so one product is measured both ways, at the
model's own width. Its knob is called "bf16": nothing is rounded where AMX is missing, and where
results move the measurement refuses it. True bf16 pays where the processor has such products
(avx512_bf16, AMX); where it has not they are slower, and that is told. How far results move is in
docs/speed.md as well.
Use: `with quick_products(model.clip): ...`, a run's first line says which it was;
`judge_in_bf16(detector.model)`, training takes `bf16=True`.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
import torch.nn.functional as F
from accelerate.utils import convert_outputs_to_fp32

from ..clip import FrozenCLIP
from ..model import AdaptedCLIP

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


# ---- bf16 -----------------------------------------------------------------------------------------


def in_bf16(function: Callable, model: AdaptedCLIP) -> Callable:
    """The same function under autocast; what it gives is fp32 again."""
    device = model.clip.text_projection.device.type
    if device == "cpu" and (factor := cost()) > 1:
        warnings.warn(
            f"bf16: a matrix product takes {factor:.1f} times as long as in fp32 on this "
            "processor, which has neither avx512_bf16 nor AMX; leave bf16 out",
            stacklevel=3,
        )
    return convert_outputs_to_fp32(torch.autocast(device, torch.bfloat16)(function))


def judge_in_bf16(model: AdaptedCLIP) -> AdaptedCLIP:
    """Makes this model compute its image features so; anchors and maps stay in fp32."""
    model.forward = in_bf16(model.forward, model)
    model.dense_features = in_bf16(model.dense_features, model)
    return model


def cost() -> float:
    """Time of a product in bf16, in times of the same in fp32; some milliseconds."""
    best = {}
    for kind in (torch.float32, torch.bfloat16) * 5:
        x = torch.ones(512, 512, dtype=kind)
        began = time.perf_counter()
        x @ x
        best[kind] = min(best.get(kind, 1.0), time.perf_counter() - began)
    return best[torch.bfloat16] / best[torch.float32]
