"""A reader's own copy of the public AA-CLIP code as the other side of `bench`.

Special: nothing of it is kept here; its towers are imported from the folder that the reader names
and get the weights of the package's model, so both sides must give equal numbers. Losses, maps and
sentences are those of `plain.py`. Its widths are fixed in its code: ViT-L/14-336 only.
Use: `python -m aaclip_lite lab bench --full --public PATH`.
"""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model import AdaptedCLIP
from .plain import Plain

NAME = "ViT-L-14-336"


class Public(Plain):
    """`Plain`, with text tower, image tower and adapters of the code in `folder`."""

    def __init__(self, model: AdaptedCLIP, folder: str | Path):
        super().__init__(model)
        adapter, self.clip = _modules(Path(folder))
        depths = model.depths
        self.adapted = adapter.AdaptedCLIP(
            self._tower(),
            model.recipe.text_mix,
            model.recipe.image_mix,
            len(depths.text_blocks),
            len(depths.image_blocks),
            list(depths.levels),
            model.recipe.proj_relu,
        )
        # the package keeps the public names, and the same tensors serve both: one step trains both
        for name in ("text_adapter", "image_adapter"):
            _share(getattr(model, name), getattr(self.adapted, name))
        self.root = self.adapted
        self.surgery: nn.Module | None = None

    def _tower(self) -> nn.Module:
        clip = self.model.clip
        quick = clip.activation == "quick_gelu"
        tower = self.clip.create_model(
            NAME, clip.image_size, force_image_size=clip.image_size, force_quick_gelu=quick
        )
        missing, unknown = tower.load_state_dict(clip.state_dict(), strict=False, assign=True)
        if unknown or [name for name in missing if not name.endswith("attn_mask")]:
            raise ValueError(f"the public model's weights differ: {missing}, {unknown}")
        return tower.eval()

    def text(self, ids: Tensor) -> Tensor:
        return self.adapted.encode_text(ids)

    def features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        return self.adapted(images)

    @torch.no_grad()
    def dense_features(self, images: Tensor) -> list[Tensor]:
        """Two towers, as its training has them: one of value-value attention, one as it is."""
        levels = list(self.model.depths.levels)
        if self.surgery is None:
            self.surgery = self._tower()
            # it counts from the end and leaves the last number out
            self.surgery.visual.DAPM_replace(DPAM_layer=self.model.depths.dense_blocks + 1)
        visual = self.surgery.visual
        tokens = self.surgery.encode_image(images, levels)[1]
        picture = F.normalize(self.adapted.clipmodel.encode_image(images, [])[0], dim=-1)
        heads = [visual.ln_post(each[:, 1:]) @ visual.proj for each in tokens]
        return [F.normalize(head, dim=-1) + picture[:, None] for head in heads]


def _share(own: nn.Module, theirs: nn.Module) -> None:
    """Make both hold the very same parameters, so that gradients arrive where they are read."""
    for name, parameter in own.named_parameters():
        place, _, last = name.rpartition(".")
        setattr(theirs.get_submodule(place), last, parameter)


def _modules(folder: Path) -> tuple[ModuleType, ModuleType]:
    """Its `model.adapter` and `model.clip`, imported by path."""
    for file in ("model/adapter.py", "model/clip.py"):
        if not (folder / file).is_file():
            raise FileNotFoundError(
                f"--public {folder}: no {file} there; name a checkout of Mwxinnn/AA-CLIP"
            )
    # a debugger that its modules import and its towers never call
    sys.modules.setdefault("ipdb", ModuleType("ipdb"))
    sys.path.insert(0, str(folder.resolve()))
    try:
        return import_module("model.adapter"), import_module("model.clip")
    finally:
        sys.path.remove(str(folder.resolve()))
