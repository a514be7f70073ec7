"""From a file to named tensors, with nothing executed: safetensors, state dicts, OpenAI's
TorchScript archives.

Special: a TorchScript archive is read as data: only tensors, dictionaries and modules-as-data are
known, its programs stay closed; a pickle is read without its code; an archive that unpacks to more
than it holds, or whose modules refer to each other without end, is refused. The embedded CLIP keeps
only the token rows that its captions used.
Use: `state, by_openai = read_state("ViT-L-14-336px.pt")`, `checksum(model.state_dict())`.
"""

import hashlib
import math
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

# what may stand before open_clip's names, in this order
PREFIXES = (
    "module.",  # from several-GPU training
    *("_image_encoder.", "_text_encoder.", "_logit_scale.", "module."),  # TinyCLIP's
    "text.",  # from open_clip's models with a separate text tower
)
# keys of files that are no weights of ours
IGNORED = ("input_resolution", "context_length", "vocab_size", "logit_bias")
POSITIONS = "visual.positional_embedding"
VOCABULARY = 49408  # words of CLIP's table
MOST_PATHS, DEEPEST = 100_000, 100  # modules of a CLIP: some hundreds, ten deep


class WeightsError(ValueError):
    """A weights file that is damaged, of another kind, unsafe, or that does not fit the model."""


def read_state(path: str | Path) -> tuple[dict[str, Tensor], bool]:
    """(tensors under open_clip's names, whether they are OpenAI's own weights)."""
    path = existing(path)
    archive = _is_torchscript(path)
    if archive:
        values = _read_torchscript(path)
    else:
        values = read_safetensors(path) if _is_safetensors(path) else read_pickle(path)
    values = values if isinstance(values, dict) else {}
    inner = values.get("state_dict")
    values = inner if isinstance(inner, dict) else values
    state = {k: v for k, v in values.items() if isinstance(v, Tensor)}
    if not state or not all(isinstance(name, str) for name in state):
        raise WeightsError(f"{path} holds no named tensors; expected a CLIP state dict")
    for prefix in PREFIXES:
        state = {k.removeprefix(prefix): v for k, v in state.items()}
    by_openai = archive or "input_resolution" in state or "openai" in str(path.resolve()).lower()
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    return _expand_rows(state), by_openai


def existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is not a file; check the path")
    return Path(path)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path} is not a complete safetensors file ({error}); fetch or save it again"
        ) from error


def read_pickle(path: Path):
    """torch.save's contents if they are tensors and plain values; code in the file is refused, not
    run.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _refuse_bomb(path, archive)
                damaged = archive.testzip()  # torch.load does not compare checksums
                if damaged:
                    raise ValueError(f"the checksum of {damaged} is wrong")
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = "something that is neither a tensor nor a plain value"
        what = f"code ({named[1]})" if named else what
        raise WeightsError(f"{path} is refused: it holds {what}; nothing was run") from error
    except Exception as error:  # of a damaged file, whatever its reader stumbles over
        reason = str(error).partition("\n")[0][:160] or type(error).__name__
        raise WeightsError(
            f"{path} is not a complete weights file ({reason}); fetch or save it again"
        ) from error


def _refuse_bomb(path: Path, archive: zipfile.ZipFile) -> None:
    """Weights are stored as they are: an archive that unpacks to much more was made to do harm."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > 2 * path.stat().st_size + (1 << 20):
        raise ValueError(f"it would unpack to {unpacked:,} bytes, more than it holds")


def _expand_rows(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The full token table again: stored rows at their ids, their mean everywhere else (unseen
    words are average).
    """
    rows = state.pop("token_embedding.rows", None)
    ids = state.pop("token_embedding.ids", None)
    if rows is None:
        return state
    if (
        ids is None
        or rows.ndim != 2
        or ids.shape != rows.shape[:1]
        or not len(ids)
        or not 0 <= ids.min() <= ids.max() < VOCABULARY
    ):
        raise WeightsError(
            f"token rows {tuple(rows.shape)} and their ids do not belong together; the weights "
            "file is damaged"
        )
    table = rows.mean(0).repeat(VOCABULARY, 1)
    table[ids.long()] = rows
    return state | {"token_embedding.weight": table}


def _is_safetensors(path: Path) -> bool:
    """By content, so that a misleading name does no harm: eight bytes of length, then a JSON
    header.
    """
    with path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def fitted(
    state: dict[str, Tensor], wanted: dict[str, Tensor], grid: int, strict: bool, label: str
) -> dict[str, Tensor]:
    """The state, its position grid resized to `grid`; refused where it does not fit `wanted`."""
    state = {
        name: tensor
        for name, tensor in state.items()
        if name not in IGNORED and not name.endswith("attn_mask")
    }
    stored = state.get(POSITIONS)
    if stored is not None and stored.ndim == 2 and stored.shape[1:] == wanted[POSITIONS].shape[1:]:
        state[POSITIONS] = resize_positions(stored, grid)
    problems = {}
    if strict:
        problems["missing"] = sorted(wanted.keys() - state.keys())
        problems["unknown"] = sorted(state.keys() - wanted.keys())
    problems["of another shape"] = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    told = [
        f"{len(names)} {what}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        for what, names in problems.items()
        if names
    ]
    if told:
        raise WeightsError(
            f"{label} does not fit this CLIP ({'; '.join(told)}). Give the config that these "
            "weights belong to."
        )
    return state


def resize_positions(positions: Tensor, grid: int) -> Tensor:
    """(1 + n*n, D) -> (1 + grid*grid, D): class row untouched, grid bicubic and antialiased,
    corners not aligned.
    """
    side = math.isqrt(len(positions) - 1)
    if side * side != len(positions) - 1:
        raise WeightsError(f"a position grid of {len(positions) - 1} places is not square")
    if side == grid:
        return positions
    square = positions[1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    square = F.interpolate(
        square, (grid, grid), mode="bicubic", antialias=True, align_corners=False
    )
    resized = square.permute(0, 2, 3, 1).reshape(grid * grid, -1).to(positions.dtype)
    return torch.cat([positions[:1], resized])


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of names, types, shapes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def backbone_digest(tensors: Mapping[str, Tensor]) -> str:
    """Twelve digits of a CLIP's weights but the position grid, which is resized to a picture's."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if name != "visual.positional_embedding":
            digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
            digest.update(tensors[name].detach().float().cpu().contiguous().numpy())
    return digest.hexdigest()[:12]


# ---- OpenAI's archives -----------------------------------------------------------------------------


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


def _below(node: _Node, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(path, value) of all that lies below a node, which may be met by many paths."""
    if prefix.count(".") > DEEPEST:
        raise ValueError(f"modules lie more than {DEEPEST} deep")
    for name, value in vars(node).items():
        yield f"{prefix}{name}", value
        if isinstance(value, _Node):
            yield from _below(value, f"{prefix}{name}.")


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    tensors = {}
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_bomb(path, archive)
            root = next(
                name for name in archive.namelist() if name.endswith("/constants.pkl")
            ).removesuffix("constants.pkl")
            for number, (name, value) in enumerate(_below(_ArchiveUnpickler(archive, root).load())):
                if number >= MOST_PATHS:
                    raise ValueError(f"more than {MOST_PATHS} paths lead to its tensors")
                if isinstance(value, Tensor):
                    tensors[name] = value
    except Exception as error:  # a damaged archive raises whatever its reader stumbles over
        raise WeightsError(
            f"{path} is not a readable TorchScript archive ({error}); nothing in it was run"
        ) from error
    return tensors
