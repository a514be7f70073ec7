"""What knows less than AA-CLIP: the frozen CLIP, a linear probe on its patches, trivial rules.

Special: each takes a batch of the data set and gives {name: (maps (B, H, W), scores (B,))}, as
`evaluate` wants it, so all are judged by the same ruler.
Use: `trivial_maps(batch)`; `frozen_maps(model, "industrial", train)(batch)`
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .. import scoring
from ..datasets import AnomalyDataset
from ..evaluation import Judged, MapsAndScores, Words
from ..model import AdaptedCLIP

PROBE_PICTURES = 1000  # of a training set
DEFECTIVE = 0.15  # share of a patch that makes it defective


def frozen_maps(model: AdaptedCLIP, domain: str, train: AnomalyDataset | None = None) -> Judged:
    """What the backbone does by itself: CLIP's own words on ordinary and on value-value patches, of
    the last level and of all; and a linear probe, which has labels but no words. Picture score of
    `frozen` is the class token between the two anchors, of the others the hottest part of the map.
    """
    clip = model.clip
    depths = model.depths
    words = Words(model, adapted=False)
    probe = None if train is None else fit_probe(model, train)

    def judge(batch: dict) -> MapsAndScores:
        anchors = words(batch["class_name"])
        x = model.preprocess(batch["image"])
        size = batch["image"].shape[-2:]
        ordinary = clip.image_tokens(x, depths.levels)
        dense, token = clip.dense_tokens(x, depths.levels, depths.dense_blocks, "patch")
        token = F.normalize(clip.visual_head(token), dim=-1)
        finish = model.recipe.finish
        maps = {}
        for label, tokens in (("frozen", ordinary), ("value_value", dense)):
            levels = [F.normalize(clip.visual_head(t[:, 1:]), dim=-1) + token for t in tokens]
            maps[label] = scoring.anomaly_map(levels[-1:], anchors, size, domain, **finish)
            all_levels = scoring.anomaly_map(levels, anchors, size, domain, **finish)
            maps[f"{label}_all_levels"] = all_levels
        if probe is not None:
            grid = (probe_columns(ordinary) @ probe).unflatten(1, (1, clip.grid, clip.grid))
            maps["linear_probe"] = scoring.finish(grid, size, domain, **finish)
        results = {name: (one, scoring.top_fraction(one)) for name, one in maps.items()}
        between = (token[:, 0] * (anchors[..., 1] - anchors[..., 0])).sum(-1)
        return results | {"frozen": (maps["frozen"], between)}

    return judge


def trivial_maps(batch: dict) -> MapsAndScores:
    """Rules that know no defect, only what stands out: a data set that these solve proves nothing."""
    image = batch["image"]
    grey = image.mean(1, keepdim=True)
    window = max(3, image.shape[-1] // 18 // 2 * 2 + 1)

    def around(x: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
        return F.avg_pool2d(F.pad(x, (window // 2,) * 4, mode="replicate"), window, 1)

    sideways = F.pad(grey, (1, 0, 0, 0), mode="replicate").diff(dim=3)
    down = F.pad(grey, (0, 0, 1, 0), mode="replicate").diff(dim=2)
    median = image.flatten(2).median(-1).values[..., None, None]
    maps = {
        "brightness": grey,
        "darkness": -grey,
        "median_colour": (image - median).abs().sum(1, keepdim=True),
        "local_contrast": (around(grey**2) - around(grey) ** 2).clamp(min=0).sqrt(),
        "edge_density": around(torch.hypot(sideways, down)),
    }
    if "inside" in batch:
        maps["foreground"] = batch["inside"]
    return {name: (one[:, 0], scoring.top_fraction(one[:, 0])) for name, one in maps.items()}


def probe_columns(tokens: list[Float[Tensor, "B 1+N D"]]) -> Float[Tensor, "B N levels*D+1"]:
    """What the linear probe reads: each level normalised, a last column of ones."""
    levels = [F.layer_norm(level[:, 1:], level.shape[-1:]) for level in tokens]
    return F.pad(torch.cat(levels, dim=-1), (0, 1), value=1.0)


@torch.no_grad()
def fit_probe(model: AdaptedCLIP, train: AnomalyDataset) -> Float[Tensor, " levels*D+1"]:
    """Weights that part normal from defective patches: ridge regression in which both kinds weigh
    the same, solved in closed form from sums over the training pictures.
    """
    last = len(train) - 1
    chosen = np.linspace(0, last, min(PROBE_PICTURES, len(train))).round().astype(int)
    subset = train.view(train.records[i] for i in chosen)
    # of normal patches, of defective ones
    square = [0.0, 0.0]
    total = [0.0, 0.0]
    count = [0, 0]
    for batch in subset.batches(32, device=model.clip.text_projection.device):
        x = model.preprocess(batch["image"])
        columns = probe_columns(model.clip.image_tokens(x, model.depths.levels))
        defective = F.adaptive_avg_pool2d(batch["mask"], model.clip.grid).flatten(1) > DEFECTIVE
        for label, rows in enumerate((columns[~defective], columns[defective])):
            square[label] = square[label] + (rows.T @ rows).double()
            total[label] = total[label] + rows.double().sum(0)
            count[label] += len(rows)
    if not min(count):
        raise ValueError(
            f"a linear probe needs normal and defective patches; {train!r} has {count[0]} and "
            f"{count[1]}"
        )
    both = square[0] / count[0] + square[1] / count[1]
    identity = torch.eye(len(both), dtype=both.dtype, device=both.device)
    ridge = 1e-3 * both.diagonal().mean() * identity
    return torch.linalg.solve(both + ridge, total[1] / count[1] - total[0] / count[0]).float()


def baselines(model: AdaptedCLIP, domain: str, train: AnomalyDataset | None) -> list[Judged]:
    """All of them, as evaluate(..., baselines=True) asks for."""
    return [frozen_maps(model, domain, train), trivial_maps]
