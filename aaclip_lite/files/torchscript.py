"""OpenAI's TorchScript archives, read as data: their programs stay closed.

Special: only tensors, dictionaries and modules-as-data are known; an archive that unpacks to more
than it holds, or whose modules refer to each other without end, is refused.
Use: `if is_torchscript(path): state = read_torchscript(path)`.
"""

import pickle
import zipfile
from pathlib import Path

import torch
from torch import Tensor


class WeightsError(ValueError):
    """A weights file that is damaged, of another kind, unsafe, or that does not fit the model."""


def is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


MOST_PATHS, DEEPEST = 100_000, 100  # modules of a CLIP: some hundreds, ten deep
_VISITS = object()


class _Node:
    """Stands for any module class of an archive; unpickling fills its __dict__."""


class _ArchiveUnpickler(pickle.Unpickler):
    """Knows tensors, dictionaries and modules-as-data; every other name in the file is refused."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(archive.open(f"{root}data.pkl"))
        self.archive = archive
        self.root = root
        self.storages = {}

    def find_class(self, module: str, name: str):
        if module.startswith("__torch__"):
            return _Node
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: torch.as_strided(
                storage, size, stride, offset
            )
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch.jit._pickle":
            return lambda value, *_: value
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, key: tuple) -> Tensor:
        _, dtype, name, *_ = key
        if name not in self.storages:
            data = bytearray(self.archive.read(f"{self.root}data/{name}"))
            empty = torch.empty(0, dtype=dtype)  # frombuffer takes none
            self.storages[name] = torch.frombuffer(data, dtype=dtype) if data else empty
        return self.storages[name]


_STORAGES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
}


def _collect(node: _Node, found: dict[str, Tensor], prefix: str = "") -> dict[str, Tensor]:
    """All tensors below a node by their paths; a node may be met by many paths, so they are counted."""
    for name, value in vars(node).items():
        if isinstance(value, _Node):
            if prefix.count(".") > DEEPEST:
                raise ValueError(f"modules lie more than {DEEPEST} deep")
            _collect(value, found, f"{prefix}{name}.")
        elif isinstance(value, Tensor):
            found[f"{prefix}{name}"] = value
        found[_VISITS] = found.get(_VISITS, 0) + 1
        if found[_VISITS] > MOST_PATHS:
            raise ValueError(f"more than {MOST_PATHS} paths lead to its tensors")
    return found


def refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Weights are stored as they are: an archive that unpacks to much more was made to do harm."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > 2 * path.stat().st_size + (1 << 20):
        raise ValueError(f"it would unpack to {unpacked:,} bytes, more than it holds")


def read_torchscript(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(path, archive)
            root = next(
                name for name in archive.namelist() if name.endswith("/constants.pkl")
            ).removesuffix("constants.pkl")
            found = _collect(_ArchiveUnpickler(archive, root).load(), {})
            found.pop(_VISITS, None)
            return found
    except Exception as error:  # a damaged archive raises whatever its reader stumbles over
        raise WeightsError(
            f"{path} is not a readable TorchScript archive ({error}); nothing in it was run"
        ) from error
