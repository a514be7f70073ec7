"""The shipped detector as graphs that a browser runs, for the book's page that needs no Python.

Special: the graphs are the package's own functions, exported piece by piece, so that a page can keep
patches of sound parts and say other words without running the image tower again; large weights are
stored in half precision and computed with in full.
Use: `write(detector, folder)` -> folder/tower.onnx, judge.onnx, nearest.onnx, words.onnx
"""

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from aaclip_lite import references, scoring
from aaclip_lite.clip import MEAN_STD
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.model import Features
from aaclip_lite.prompts import sentences

SMALL = 1000  # weights of fewer numbers stay in full precision
LARGEST = 100_000  # patches in a bank


class Tower(nn.Module):
    """A picture (1, 3, S, S) in [0, 1] -> its levels, its patches for a bank, those of its detection
    feature.
    """

    def __init__(self, detector: AnomalyDetector) -> None:
        super().__init__()
        self.model = detector.model
        mean, std = MEAN_STD[detector.model.recipe.normalisation]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.model((image - self.mean) / self.std)
        return torch.cat(features.levels), references.joined(features.levels)[0], features.patches


class Judge(nn.Module):
    """What the tower gave, anchors (d, 2), distances from references (0: none) -> the map on the
    patch grid, and how much nearer the detection feature and its hottest patches lie to the
    abnormal anchor.
    """

    def __init__(self, detector: AnomalyDetector) -> None:
        super().__init__()
        self.detector = detector
        self.side = detector.model.clip.grid

    def forward(
        self, levels: Tensor, detection: Tensor, anchors: Tensor, grid: Tensor
    ) -> tuple[Tensor, Tensor]:
        features = Features(levels.split(1), detection.mean(1), detection)
        size = (self.side, self.side)
        maps, _ = self.detector.judge(features, anchors[None], size, grid)
        return maps[0], scoring.abnormal_margin(features, anchors)


class Nearest(nn.Module):
    """Patches and a bank of sound patches -> each patch's distance from the nearest."""

    def forward(self, patches: Tensor, bank: Tensor) -> Tensor:
        return references.distances([patches[None]], bank)


class Words(nn.Module):
    """Rows of the token table (sentences, context), and where each sentence ends -> anchors (d, 2).
    The first half of the sentences is normal.

    Special: of the table only the rows that differ are kept: this CLIP has read few words, and all
    others share one row.
    """

    def __init__(self, detector: AnomalyDetector, counts: tuple[int, int], table: Tensor) -> None:
        super().__init__()
        self.model = detector.model
        self.counts = counts
        self.register_buffer("table", table)

    def forward(self, rows: Tensor, ends: Tensor) -> Tensor:
        clip = self.model.clip
        number, length = rows.shape
        each = torch.arange(number * length)
        sharing = (each.view(number, length), each)  # every token is read where it stands
        x = (F.embedding(rows, self.table) + clip.positional_embedding).flatten(0, 1)
        adapt = self.model.after_block("text")
        for index, block in enumerate(clip.transformer.resblocks):
            x = adapt(index, clip._block(block, x, sentences=sharing))
        places = torch.arange(number) * length + ends
        encoded = F.normalize(self.model.text_adapter[-1](clip.ln_final(x[places])), dim=-1)
        means = [F.normalize(part.mean(0), dim=-1) for part in encoded.split(self.counts)]
        return torch.stack(means, dim=1)


def known_rows(detector: AnomalyDetector) -> tuple[Tensor, dict[int, int], int]:
    """The token table without repeats, {token: row} of those that differ, and the others' row."""
    table = detector.model.clip.token_embedding.weight
    rows, where, counts = torch.unique(table, dim=0, return_inverse=True, return_counts=True)
    others = int(counts.argmax())
    known = (where != others).nonzero().flatten().tolist()
    return rows, {token: int(where[token]) for token in known}, others


def write(detector: AnomalyDetector, folder: Path) -> None:
    """All graphs. The words' graph reads as many sentences as the recipe says of one product."""
    clip = detector.model.clip
    side, patches = clip.image_size, clip.grid**2
    recipe = detector.model.recipe
    spoken = sentences("{}", recipe.states, recipe.templates)
    counts = tuple(map(len, spoken))
    tower = Tower(detector)
    image = torch.rand(1, 3, side, side)
    levels, bank, detection = tower(image)
    grid = torch.rand(1, 1, clip.grid, clip.grid)
    rows = torch.zeros(sum(counts), clip.context, dtype=torch.long)
    graphs = {
        "tower": (tower, {"image": image}, ("levels", "patches", "detection")),
        "judge": (
            Judge(detector),
            dict(
                levels=levels, detection=detection, anchors=torch.rand(clip.embed_dim, 2), grid=grid
            ),
            ("map", "between"),
        ),
        "nearest": (Nearest(), {"patches": bank, "bank": bank.repeat(2, 1)}, ("grid",)),
        "words": (
            Words(detector, counts, known_rows(detector)[0]),
            {"rows": rows, "ends": rows[:, 0]},
            ("anchors",),
        ),
    }
    assert patches == len(bank)
    for name, (module, given, outputs) in graphs.items():
        dynamic = {key: None for key in given}
        if name == "nearest":
            dynamic["bank"] = {0: torch.export.Dim("kept", min=2, max=LARGEST)}
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            program = torch.onnx.export(
                module.eval(),
                tuple(given.values()),
                dynamo=True,
                verbose=False,
                input_names=list(given),
                output_names=list(outputs),
                dynamic_shapes=tuple(dynamic.values()),
            )
        onnx.save(halved(program.model_proto), folder / f"{name}.onnx")


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, its large weights stored in half precision and cast back when it is loaded."""
    graph = model.graph
    casts = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        large = values.dtype == np.float32 and values.size >= SMALL
        if not large or np.abs(values).max() > np.finfo(np.float16).max:  # an attention mask
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    for place, cast in enumerate(casts):
        graph.node.insert(place, cast)
    known = {cast.output[0] for cast in casts}
    stated = [info for info in graph.value_info if info.name not in known]
    del graph.value_info[:]
    graph.value_info.extend(stated)
    return model
