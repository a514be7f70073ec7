"""On what a run computes: device, precision, processes, memory; and Ctrl-C that waits for the
step's end.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import parse_flag_from_env

from . import matmul


def choose_accelerator() -> Accelerator:
    """fp32 on the CPU and on Apple's chips; on CUDA bf16 where the card has it natively, else fp16
    with scaling.
    """
    state = processes()
    precision = "no"
    if state.device.type == "cuda":
        # is_bf16_supported() counts emulation as well
        native = torch.cuda.get_device_capability()[0] >= 8
        precision = "bf16" if native else "fp16"
    return Accelerator(mixed_precision=precision, cpu=state.device.type == "cpu")


def processes() -> PartialState:
    """This process among those that `accelerate launch` started, and its device; on a CPU too they
    join each other.
    """
    accelerator = torch.cuda.is_available() or torch.backends.mps.is_available()
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU") or not accelerator)


def described(on: Accelerator, bf16: bool = False) -> str:
    """For people: "Tesla T4 x 2, fp16". bf16: asked for, whatever the device would take."""
    device = on.device.type
    if device == "cuda":
        device = torch.cuda.get_device_name(on.device)
    precision = "bf16" if bf16 else on.mixed_precision.replace("no", "fp32")
    if (device, precision) == ("cpu", "fp32") and matmul.precision() == "bf16":
        precision = "fp32 by oneDNN"
    return f"{device} x {on.num_processes}, {precision}"


def memory_mb(on: Accelerator) -> float:
    """The card's highest so far, or what the process holds now."""
    if on.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return psutil.Process().memory_info().rss / 1e6


@contextmanager
def held_interrupts() -> Iterator[threading.Event]:
    """Ctrl-C takes effect between steps, as the event that this gives; signals reach the main
    thread only.
    """
    told = threading.Event()
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, lambda *_: told.set()) if in_main else None
    try:
        yield told
    finally:
        if in_main:
            signal.signal(signal.SIGINT, before or signal.default_int_handler)
