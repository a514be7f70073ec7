"""The right function with one operation made otherwise: a sum for a mean, another axis, no norm.

Special: nothing is known of the function; torch tells each operation on the way, and one of them,
or all of a name, is replaced. Only what goes through torch can be.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


class _Mode(TorchFunctionMode):
    """Replaces the operation number `at`, or all called `at`; `seen` gets the names of those that
    can be.
    """

    def __init__(self, at: int | str = "", make: Callable | None = None) -> None:
        super().__init__()
        self.at, self.make, self.seen = at, make, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = NAMES.get(func.__name__, func.__name__)
        if name not in OTHERS:
            return func(*args, **(kwargs or {}))
        self.seen.append(name)
        if self.make and self.at in (name, len(self.seen) - 1):
            turned = func.__name__.startswith("__r") or func.__name__ == "rsub"
            return self.make(func, *(args[::-1] if turned else args), **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def with_another(right: Callable, given) -> Iterator[tuple[Callable, str]]:
    """(the right function with another operation, in words), as far as `given` shows them."""
    with _Mode() as plain:
        right(*given)
    for at in [*dict.fromkeys(plain.seen), *range(len(plain.seen))]:
        name = at if isinstance(at, str) else plain.seen[at]
        several = plain.seen.count(name) > 1
        if isinstance(at, str) or several:
            for say, make in OTHERS[name].items():
                yield _made(right, at, make), say


def _made(right: Callable, at: int | str, make: Callable) -> Callable:
    def call(*given):
        with _Mode(at, make):
            return right(*given)

    return call


def _reduced(kind: str) -> Callable:
    def make(_, x, *axes, **named):
        made = getattr(torch.Tensor, kind)(x, *axes, **named)
        return made.values if isinstance(made, tuple) else made

    return make


def _along(axis: int) -> Callable:
    def make(func, x, *axes, **named):
        named = named | {"dim": axis} if "dim" in named or not axes else named
        return func(x, *((axis, *axes[1:]) if axes and "dim" not in named else ()), **named)

    return make


def _plain(_, x, *__, **___):
    return x


def _by(make: Callable) -> Callable:
    """An operation along an axis, of the tensor and that axis."""
    return lambda _, x, *axes, dim=None, **__: make(x, dim if not axes else axes[-1])


AXES = {f"along axis {axis}": axis for axis in (0, 1, -1, -2)}
REDUCED = {"sum": "added up", "mean": "averaged", "amax": "the largest", "amin": "the least"}
REDUCED |= {"median": "the median", "std": "a spread (std)", "prod": "a product"}


def _reductions(name: str, done: str) -> dict:
    say = {k: f"it were {word}, not {done}" for k, word in REDUCED.items() if k != name}
    others = {words: _reduced(kind) for kind, words in say.items()}
    return others | {f"it were {done} {say}": _along(axis) for say, axis in AXES.items()}


POINT = {  # in the place of an operation on each number
    "made without {}": _plain,
    "made with abs instead of {}": lambda _, x, *__, **___: x.abs(),
    "made with a sigmoid instead of {}": lambda _, x, *__, **___: x.sigmoid(),
    "made with exp instead of {}": lambda _, x, *__, **___: x.exp(),
    "made with the square of {}": lambda f, x, *a, **k: f(x, *a, **k) ** 2,
}
NAMED = {
    name: {say.format(name): make for say, make in POINT.items()}
    for name in ("exp", "log", "relu", "softmax")
}
NAMED["log"] |= {"made with log2 instead of log": lambda _, x: x.log2()}
NAMED["log"] |= {"made with log10 instead of log": lambda _, x: x.log10()}
NAMED["relu"] |= {"made with softplus instead of relu": lambda _, x, *__, **___: F.softplus(x)}
NAMED["softmax"] |= {
    "made with log_softmax": lambda f, *a, **k: f(*a, **k).log(),
    "made with shares of the sum, not a softmax": _by(lambda x, dim: x / x.sum(dim, True)),
    "made with shares of the sum of sigmoids, not a softmax": _by(
        lambda x, dim: x.sigmoid() / x.sigmoid().sum(dim, True)
    ),
    "made with the best alone, not a softmax": _by(lambda x, dim: (x == x.amax(dim, True)).to(x)),
    "made with a softmax over everything": lambda _, x, *__, **___: (
        x.flatten().softmax(0).view_as(x)
    ),
} | {f"made with a softmax {say}": _along(axis) for say, axis in AXES.items()}
UNIT = {
    "made without unit length": _plain,
    "made with one length of everything together": lambda _, x, *__, **___: x / x.norm(),
    "made with a softmax, not unit length": _by(lambda x, dim: x.softmax(dim)),
    "made with a sum of absolute values, not the length": _by(lambda x, d: F.normalize(x, 1.0, d)),
} | {f"made with unit length {say}": _along(axis) for say, axis in AXES.items()}
LENGTH = {
    "made with the square of a length": lambda f, *a, **k: f(*a, **k) ** 2,
    "made without a length": lambda f, *a, **k: torch.ones_like(f(*a, **k)),
    "made with one length of everything together": lambda _, x, *__, **___: x.norm(),
    "made with a sum of absolute values, not the length": _by(lambda x, d: x.abs().sum(d, True)),
    "made with the largest value, not the length": _by(lambda x, dim: x.amax(dim, True)),
    "made with the largest size, not the length": _by(lambda x, dim: x.abs().amax(dim, True)),
    "made with a spread (std), not the length": _by(lambda x, dim: x.std(dim, keepdim=True)),
    "made with entries, not their length": lambda _, x, *__, **___: x.abs(),
} | {f"made with lengths {say}": _along(axis) for say, axis in AXES.items()}
PAIRED = {
    "mul": {
        "made without a factor": lambda _, x, y: x + 0 * y,
        "made without the other factor": lambda _, x, y: y + 0 * x,
        "a product were a sum": lambda _, x, y: x + y,
        "a product were a quotient": lambda _, x, y: x / y,
    },
    "add": {
        "made without a summand": lambda _, x, y: x + 0 * y,
        "made without the other summand": lambda _, x, y: y + 0 * x,
        "a sum were a difference": lambda _, x, y: x - y,
        "a sum were a product": lambda _, x, y: x * y,
        "a sum were the larger of both": lambda _, x, y: torch.maximum(x, y),
    },
    "sub": {
        "nothing were taken away": lambda _, x, y: x + 0 * y,
        "made with a difference without its sign (abs)": lambda _, x, y: abs(x - y),
        "a difference were a sum": lambda _, x, y: x + y,
        "a difference were turned round": lambda _, x, y: y - x,
        "made with what is taken away alone": lambda _, x, y: y + 0 * x,
    },
    "div": {
        "made without a division": lambda _, x, y: x + 0 * y,
        "a quotient were a product": lambda _, x, y: x * y,
        "a quotient were upside down": lambda _, x, y: y / x,
        "made with the root of what it is divided by": lambda _, x, y: x / y**0.5,
        "made with the square of what it is divided by": lambda _, x, y: x / y**2,
    },
}
OTHERS = PAIRED | NAMED | {"log_softmax": NAMED["softmax"], "normalize": UNIT, "norm": LENGTH}
OTHERS |= {name: _reductions(name, REDUCED[name]) for name in ("mean", "sum", "amax")}
OTHERS |= {
    "pow": {
        "made without a power": _plain,
        "made with a factor for a power": lambda _, x, y: x * y,
    },
    "topk": {"made with the least": lambda f, *a, **k: f(*a, **k, largest=False)},
    "argmax": {"made with the least": lambda _, *a, **k: torch.argmin(*a, **k)},
}
NAMES = {"__rsub__": "sub", "rsub": "sub", "__rmul__": "mul", "__radd__": "add"}
NAMES |= {"true_divide": "div", "__truediv__": "div", "__rtruediv__": "div", "__rdiv__": "div"}
NAMES |= {"__pow__": "pow"}
