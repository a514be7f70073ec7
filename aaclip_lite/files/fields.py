"""Dataclass fields: what the comment beside each says, and a refusal of impossible values.

Special: a field's annotation says which values it takes, its comment what it means. Command lines
(tyro) show the same comment as help, so it is written once.
Use: `refuse_unfit(self, {(0, 1): ("mix",)})` in `__post_init__`; `meanings(Recipe)`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import UnionType
from typing import Literal, Union, get_args, get_origin, get_type_hints


def meanings(kind: type) -> dict[str, str]:
    """{field: the comment behind it}"""
    comments = {}
    for line in inspect.getsource(kind).splitlines():
        code, _, comment = line.partition("  # ")
        name = code.partition(":")[0].strip()
        if comment and name.isidentifier():
            comments[name] = comment
    return {field.name: comments[field.name] for field in fields(kind)}


def refuse_unfit(instance: object, ranges: Mapping[tuple[float, float], Sequence[str]]) -> None:
    """Turn lists into tuples (JSON has no others), then refuse the first impossible value.

    ranges: {(lowest, highest): the fields whose numbers must lie there}
    """
    kind = type(instance)
    limits = {name: ends for ends, names in ranges.items() for name in names}
    for name, hint in get_type_hints(kind).items():
        value = getattr(instance, name)
        if isinstance(value, list):
            value = tuple(value)
            object.__setattr__(instance, name, value)
        if not _fits(value, hint):
            told = f"{kind.__name__}.{name} = {value!r} is not possible"
            raise ValueError(f"{told}; expected {_spoken(hint)}")
        several = value if isinstance(value, tuple) else (value,)
        low, high = limits.get(name, (None, None))
        for number in several:
            # false for NaN too
            if low is not None and type(number) in (int, float) and not low <= number <= high:
                told = f"{kind.__name__}.{name} = {value!r} is out of range"
                raise ValueError(f"{told}; expected {low:g} to {high:g}")


def _fits(value: object, hint: object) -> bool:
    origin = get_origin(hint)
    options = get_args(hint)
    if origin is Literal:
        return type(value) is str and value in options
    if origin in (Union, UnionType):
        return any(_fits(value, option) for option in options)
    if origin is tuple:
        if type(value) is not tuple:
            return False
        right_length = options[-1] is Ellipsis or len(value) == len(options)
        return right_length and all(_fits(each, options[0]) for each in value)
    return type(value) is hint or (hint is float and type(value) is int)


def _spoken(hint: object) -> str:
    options = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_spoken, options))
    if get_origin(hint) is Literal:
        return ", ".join(map(repr, options))
    return "None" if hint is type(None) else getattr(hint, "__name__", str(hint))
