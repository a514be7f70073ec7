"""Devices that PyTorch finds on this machine.

Use: `refuse_device("load: device", "gpu")` raises, and says which are there.
"""


def refuse_device(where: str, name: str) -> None:
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter of a PyTorch without CUDA
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"{where} = {name!r} is not on this machine; choose one of {', '.join(there)}"
        ) from error
