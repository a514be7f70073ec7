"""bf16 on request: half the bits in matrix products, weights and results in fp32.

Special: it pays where the processor has such products (avx512_bf16, AMX); where it has not they are
slower, and that is told. How far results move: docs/speed.md.
Use: `judge_in_bf16(detector.model)`; training takes `bf16=True`.
"""

import time
import warnings
from collections.abc import Callable

import torch
from accelerate.utils import convert_outputs_to_fp32

from ..model import AdaptedCLIP


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
