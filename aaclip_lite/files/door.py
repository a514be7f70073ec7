"""Checks at the door of the public names: arguments of a wrong kind are told in one line.

Special: None and wrong types are found before any work, with the argument, the value and the
remedy; so are devices that are not there. Inside the package nothing is checked twice.
Use: `@door(model=AdaptedCLIP, data=AnomalyDataset)` above a function.
"""

import functools
import inspect

REMEDIES = {
    "AdaptedCLIP": "AdaptedCLIP(load_clip('lite'), Recipe())",
    "AnomalyDataset": "open_dataset('factory/train') or open_dataset(FOLDER)",
    "FrozenCLIP": "load_clip('lite')",
    "Recipe": "Recipe() or Recipe.released()",
    "Path": "a path such as 'runs/a'",  # before str, which most paths may be too
    "str": "a text such as 'bottle'",
    "float": "a number such as 0.05",
    "int": "a whole number such as 16",
}


def door(**kinds: type | tuple[type | None, ...]):
    """kinds: the classes that an argument may have; None among them allows None."""

    def wrap(function):
        signature = inspect.signature(function)
        name = function.__qualname__

        @functools.wraps(function)
        def checked(*values, **named):
            try:
                bound = signature.bind(*values, **named)
            except TypeError as error:
                raise TypeError(f"{name}: {error}; give {name}{signature}") from None
            for argument, allowed in kinds.items():
                if argument in bound.arguments:
                    expect(f"{name}: {argument}", bound.arguments[argument], allowed)
            if "device" in kinds and "device" in bound.arguments:
                refuse_device(f"{name}: device", bound.arguments["device"])
            return function(*values, **named)

        return checked

    return wrap


def expect(where: str, value: object, allowed: type | tuple[type | None, ...]) -> None:
    """Raises a TypeError that names the argument, the value, what is expected and an example."""
    allowed = allowed if isinstance(allowed, tuple) else (allowed,)
    classes = tuple(type(None) if each is None else each for each in allowed)
    # True is an int to Python, and a slip to everybody else
    slipped = isinstance(value, bool) and bool not in classes
    if isinstance(value, classes) and not slipped:
        return
    names = [getattr(each, "__name__", str(each)) for each in allowed]
    remedy = next((text for kind, text in REMEDIES.items() if kind in names), names[0])
    shown = repr(value)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    raise TypeError(
        f"{where} = {shown} is a {type(value).__name__}, expected {' or '.join(names)}; give {remedy}"
    )


def refuse_device(where: str, name: str) -> None:
    """Raises unless PyTorch finds it on this machine; says which are there."""
    import torch  # which the command line's help does not wait for

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:  # the latter of a PyTorch without CUDA
        there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        there += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(
            f"{where} = {name!r} is not on this machine; choose one of {', '.join(there)}"
        ) from error
