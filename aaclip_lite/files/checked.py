"""JSON of other people's making: read, then held against a shape; whatever does not fit is named with
its file, key and value.

Special: a shape is a function (value, where) that returns the value or raises; numbers are finite;
a byte order mark is no matter; other encodings, deep nesting, keys given twice and huge files are
told in one line.
Use: `read_json("detector.json", fields(threshold=number(-100, 100), words=mapping(text())))`.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

LARGEST = 256 << 20  # bytes of a file
LONGEST = 4096  # characters of one text
MOST = 100_000  # entries of a list or an object
Shape = Callable[[object, str], object]


class JsonError(ValueError):
    """A file that is not the JSON it should be."""


def read_json(path: str | Path, shape: Shape | None = None, remedy: str = "save it again"):
    """The file's value; shape: what it has to be, an object if nothing is said."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.stat().st_size > LARGEST:
        raise JsonError(f"{path}: {path.stat().st_size:,} bytes are too many; {remedy}")
    return parse(decoded(path.read_bytes(), path), shape, str(path), remedy)


def parse(words: str, shape: Shape | None = None, where: str = "", remedy: str = "save it again"):
    """The value of a JSON text; `where` names it in errors."""
    try:
        value = json.loads(words, object_pairs_hook=_no_pair_twice)
        value = (shape or fields_open)(value, "")
        _refuse_endless(value, "")
        return value
    except RecursionError as error:
        raise JsonError(f"{where}: nested too deeply; {remedy}") from error
    except ValueError as error:
        raise JsonError(f"{where}: {_short(error)}; {remedy}") from error


def decoded(data: bytes, where: object) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        raise JsonError(f"{where}: {what}; save it as UTF-8") from error


def _refuse_endless(value: object, where: str) -> None:
    """NaN and infinity, which Python's JSON knows though JSON does not."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_endless(inner, f"{where}.{name}" if where else name)
    elif isinstance(value, list | tuple):
        for number_of, inner in enumerate(value):
            _refuse_endless(inner, f"{where}[{number_of}]")
    elif isinstance(value, float) and not math.isfinite(value):
        _refuse(value, where, "a finite number")


def _no_pair_twice(pairs: list[tuple]) -> dict:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {_short(twice)!r} is given twice")
    return value


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:160]}... ({len(text)} characters)"


def _refuse(value: object, where: str, wanted: str):
    raise ValueError(f"{where or 'it'} is {_short(repr(value))}, expected {wanted}")


# ---- shapes --------------------------------------------------------------------------------------


def number(low: float = -math.inf, high: float = math.inf, above: bool = False) -> Shape:
    """A finite number in [low, high], in (low, high] with `above`."""
    span = f"above {low:g}, up to {high:g}" if above else f"from {low:g} to {high:g}"

    def shape(value, where):
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not low <= value <= high or (above and value == low):
            _refuse(value, where, f"a number {span}")
        return value if math.isfinite(value) else _refuse(value, where, "a finite number")

    return shape


def integer(low: int = 0, high: int = 2**62) -> Shape:
    def shape(value, where):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            _refuse(value, where, f"a whole number from {low} to {high}")
        return value

    return shape


def text(longest: int = LONGEST) -> Shape:
    def shape(value, where):
        if not isinstance(value, str) or not value.strip() or len(value) > longest or "\0" in value:
            _refuse(value, where, f"a text of at most {longest} characters")
        return value

    return shape


def one_of(*choices: str) -> Shape:
    def shape(value, where):
        return value if value in choices else _refuse(value, where, f"one of {', '.join(choices)}")

    return shape


def maybe(inner: Shape) -> Shape:
    """The same, or null."""
    return lambda value, where: None if value is None else inner(value, where)


def either(first: Shape, second: Shape) -> Shape:
    def shape(value, where):
        try:
            return first(value, where)
        except ValueError:
            return second(value, where)

    return shape


def pair(first: Shape, second: Shape) -> Shape:
    def shape(value, where):
        if not isinstance(value, list | tuple) or len(value) != 2:
            _refuse(value, where, "a list of 2 values")
        return [first(value[0], f"{where}[0]"), second(value[1], f"{where}[1]")]

    return shape


def listing(inner: Shape) -> Shape:
    """A list of any length."""

    def shape(value, where):
        if not isinstance(value, list | tuple) or len(value) > MOST:
            _refuse(value, where, f"a list of at most {MOST} values")
        return [inner(each, f"{where}[{i}]") for i, each in enumerate(value)]

    return shape


def mapping(inner: Shape) -> Shape:
    """An object with any names."""

    def shape(value, where):
        if not isinstance(value, dict) or len(value) > MOST:
            _refuse(value, where, f"an object of at most {MOST} entries")
        return {text()(k, f"a name in {where}"): inner(v, f"{where}.{k}") for k, v in value.items()}

    return shape


def fields(required: tuple[str, ...] = (), others: bool = False, **shapes: Shape) -> Shape:
    """An object with these names; no others, unless that is said."""

    def shape(value, where):
        entries = fields_open(value, where)
        unknown = [] if others else sorted(entries.keys() - shapes.keys())
        if unknown:
            raise ValueError(
                f"{where or 'it'} has a key {_short(unknown[0])!r} that is not known; known: "
                f"{', '.join(shapes)}"
            )
        if absent := [name for name in required if name not in entries]:
            raise ValueError(f"{where or 'it'} lacks {', '.join(absent)}")
        start = f"{where}." if where else ""
        return {
            name: shapes[name](v, f"{start}{name}") if name in shapes else v
            for name, v in entries.items()
        }

    return shape


def anything(value, where: str):
    return value


def fields_open(value, where: str) -> dict:
    """An object, whatever it holds."""
    if not isinstance(value, dict):
        _refuse(value, where, "a JSON object {...}")
    return value
