"""A detector in a folder: the adapters of both stages, its references, and detector.json.

Special: half a training, adapters of two trainings and another backbone are refused by file, with
the remedy.
Use: `detector.save("runs/bolt")` and `AnomalyDetector.load("runs/bolt")`, which call `write`, `read`.
"""

from pathlib import Path
from typing import NamedTuple

from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from ..checkpoint import MismatchError, load_adapter, read_metadata, save_adapter, text_checksum
from ..clip import FrozenCLIP
from ..files import notes
from ..files.keep import atomic
from ..files.late import late
from ..files.weights import read_safetensors
from ..load import load_clip
from ..model import STAGES, AdaptedCLIP

REFERENCES = notes.REFERENCES
Banks = dict[str, Float[Tensor, "M D"]]  # of patches, by product


class Saved(NamedTuple):
    model: AdaptedCLIP
    notes: dict  # backbone, domain, words, calibration, as far as they were noted
    references: Banks
    training: dict[str, dict]  # what each stage's file says of its training


def read(name: str | Path, clip: FrozenCLIP | None) -> Saved:
    folder = notes.find(name)
    noted = notes.read(folder)
    files = {stage: folder / f"{stage}.safetensors" for stage in STAGES}
    if not files["image"].is_file():
        trained = "stage 1 only" if files["text"].is_file() else "nothing"
        raise FileNotFoundError(
            f"{folder} holds {trained}: a detector needs image.safetensors, from train_image"
        )
    metadata = {stage: read_metadata(path) for stage, path in files.items() if path.is_file()}
    _refuse_half(folder, metadata)
    size = metadata["image"]["backbone"]["image_size"]
    source = {"source": "lite", "image_size": size} | noted.get("backbone", {})
    if clip is None:
        clip = load_clip(**source)
    _refuse_other_size(folder, noted, source["image_size"], clip)
    noted["backbone"] = source | {"image_size": clip.image_size}
    both = (clip, metadata["image"]["recipe"])
    variant = metadata["image"].get("variant")
    model = late("variant")(variant, *both, files["image"]) if variant else AdaptedCLIP(*both)
    try:
        for stage in metadata:
            load_adapter(files[stage], model)
    except MismatchError as error:
        raise MismatchError(
            f"{error}. Give the backbone that belongs to it: clip=load_clip(...)"
        ) from None
    _refuse_strangers(folder, model, metadata)
    banks = folder / REFERENCES
    references = read_safetensors(banks) if banks.is_file() else {}
    return Saved(model, noted, {name: bank.float() for name, bank in references.items()}, metadata)


def write(
    folder: Path, model: AdaptedCLIP, noted: dict, references: Banks, training: dict[str, dict]
) -> Path:
    notes.sweep(folder)
    for stage in STAGES:
        path = folder / f"{stage}.safetensors"
        save_adapter(path, model, stage, training.get(stage))
    if references:
        banks = {name: bank.half().contiguous() for name, bank in references.items()}
        atomic(folder / REFERENCES, lambda path: save_file(banks, path))
    else:
        (folder / REFERENCES).unlink(missing_ok=True)
    notes.write(folder, noted)
    return folder


def _refuse_other_size(folder: Path, noted: dict, size: int, clip: FrozenCLIP) -> None:
    """Patches and scores of one size say nothing of those of another."""
    products = notes.products(noted.get("calibration", {}))
    if products and size != clip.image_size:
        raise ValueError(
            f"{folder} learned {', '.join(products)} at {size} px, not {clip.image_size}: leave the "
            "size away, or begin with a detector that knows no product ('course') at "
            f"{clip.image_size} px, and remember and calibrate again"
        )


def _refuse_half(folder: Path, metadata: dict[str, dict]) -> None:
    """Both stages' files, each in its place, as the recipe asks for them."""
    if (folder / REFERENCES).is_file() and not (folder / notes.NAME).is_file():
        raise FileNotFoundError(
            f"{folder} holds {REFERENCES} without {notes.NAME}, as a stopped save leaves it: save it "
            f"again; without {REFERENCES} the adapters load, not calibrated"
        )
    for stage, header in metadata.items():
        if header["stage"] != stage:
            raise MismatchError(
                f"{folder / stage}.safetensors is of stage {header['stage']!r}, not {stage!r}; put "
                "the right file there"
            )
    if "text" not in metadata and metadata["image"]["recipe"].trains_text:
        raise FileNotFoundError(
            f"{folder} holds image.safetensors only: its recipe trains text adapters too, so a "
            "detector needs the text.safetensors of the same training"
        )


def _refuse_strangers(folder: Path, model: AdaptedCLIP, metadata: dict[str, dict]) -> None:
    """Image adapters belong to the text adapters that they were trained against."""
    trained_with = metadata["image"].get("text_adapters")
    if trained_with not in (None, text_checksum(model)):  # older files do not say
        raise MismatchError(
            f"{folder / 'image.safetensors'} was trained with other text adapters than "
            "text.safetensors beside it; put the two of one training together, or train again"
        )
