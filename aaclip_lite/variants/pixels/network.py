"""A small U-Net that says for every four by four pixels which kind of defect lies there, or none.

Special: it sees each colour twice, as it is and beside its neighbourhood, so that a scratch in dark
wood and one in bright steel look alike. Pictures are read mirrored and turned as well: what only one
reading sees is mostly noise.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ...files.environment import data_path
from ...files.keep import atomic

SHIPPED = data_path("clinic") / "pixels.safetensors"
STEP = 4  # pixels a cell
NEAR = 8  # pixels of a neighbourhood
TURNS = ((), (3,), (2,), (2, 3))  # the axes along which a picture is mirrored, reading by reading


def seen(images: Tensor) -> Float[Tensor, "b 6 h w"]:
    """Pictures from 0 to 255 as colours, and as colours beside their neighbourhood's."""
    colours = images.float() / 255

    def around(x):
        return F.interpolate(F.avg_pool2d(x, NEAR), scale_factor=NEAR, mode="bilinear")

    apart = colours - around(colours)
    spread = around(apart.square().mean(1, keepdim=True)).sqrt()
    both = torch.cat([(colours - 0.45) * 4, apart / (spread + 0.03)], 1)
    return both.to(memory_format=torch.channels_last)


def layer(i: int, o: int, stride: int = 1, act: bool = True) -> nn.Sequential:
    """A convolution, brought to one size, and cut at zero if `act`."""
    parts = [nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.BatchNorm2d(o)]
    if act:
        parts.append(nn.ReLU())
    return nn.Sequential(*parts)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = layer(width, width), layer(width, width, act=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return (x + self.b(self.a(x))).relu()


class PixelNet(nn.Module):
    def __init__(self, kinds: int, width: int = 24) -> None:
        super().__init__()
        one, two, three, four = (width * times for times in (1, 2, 3, 4))
        self.d1 = nn.Sequential(layer(6, one, 2), layer(one, one))
        self.d2 = nn.Sequential(layer(one, two, 2), Residual(two))
        self.d3 = nn.Sequential(layer(two, three, 2), Residual(three))
        self.d4 = nn.Sequential(layer(three, four, 2), Residual(four))
        self.u3, self.u2 = layer(four + three, three), layer(three + two, two)
        self.head = nn.Conv2d(two, kinds + 1, 1)
        self.channels = two + kinds + 1  # that `read` gives
        self.to(memory_format=torch.channels_last)

    def features(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h/4 w/4"]:
        fine = self.d2(self.d1(seen(images)))
        mid = self.d3(fine)
        coarse = F.interpolate(self.d4(mid), scale_factor=2.0)
        mid = F.interpolate(self.u3(torch.cat([coarse, mid], 1)), scale_factor=2.0)
        return self.u2(torch.cat([mid, fine], 1))

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b kinds+1 h/4 w/4"]:
        """Pictures from 0 to 255, sides multiples of 16 -> logits, "none" last."""
        return self.head(self.features(images))


@torch.no_grad()
def read(
    net: PixelNet, images: UInt8[Tensor, "n 3 h w"], turns: int = 4
) -> Float[Tensor, "n c h/8 w/8"]:
    """What to lay beside patch tokens of eight pixels: features, and how sure each kind is (less
    the highest "none": how sure it is that something lies there), the most of each patch.
    """
    patches = []
    for batch in images.split(32):
        total = 0
        for axes in TURNS[:turns]:
            features = net.eval().features(batch.flip(axes))
            sure = net.head(features).log_softmax(1)
            sure = torch.cat([sure[:, :-1], -sure[:, -1:]], 1)
            total = total + torch.cat([features, sure], 1).flip(axes) / turns
        patches.append(F.max_pool2d(total, 2).half())
    return torch.cat(patches)


def beside(
    tokens: Mapping[str, Tensor], images: Mapping[str, Tensor], net: PixelNet
) -> dict[str, Float[Tensor, "n width h w"]]:
    """Tokens of each split, and then what `net` reads there, of the size that it has on "train"."""
    seen = {split: read(net, each) for split, each in images.items()}
    flat = seen["train"].float().movedim(1, 0).flatten(1)
    mean, deviation = (each[:, None, None] for each in (flat.mean(1), flat.std(1).clamp(min=0.01)))
    return {
        split: torch.cat([each, ((seen[split] - mean) / deviation).to(each)], 1)
        for split, each in tokens.items()
    }


def keep(net: PixelNet, path: str | Path = SHIPPED) -> None:
    """In half precision: a megabyte."""
    state = {k: w.half() if w.is_floating_point() else w for k, w in net.state_dict().items()}
    atomic(path, lambda file: save_file({k: w.contiguous() for k, w in state.items()}, file))


def load(path: str | Path = SHIPPED) -> PixelNet:
    """The shipped network; `python -m aaclip_lite.lab.concepts_study --net` trains it anew."""
    state = load_file(path)
    net = PixelNet(len(state["head.bias"]) - 1, len(state["d1.0.0.weight"]))
    net.load_state_dict(state)
    return net.eval()
