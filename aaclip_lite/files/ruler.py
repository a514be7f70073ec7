"""Class after class through whatever gives maps and scores, into a tally of each.

Special: pictures stream through and only histograms stay. Where torch.distributed is up, each
process takes its share of the classes and all get the whole. `data`: an AnomalyDataset.
Use: `Ruler(sources, None, device, options).judge_all(data)`, as `evaluation.evaluate` does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import distributed
from tqdm.auto import tqdm

from .forms import refuse_endless
from .tally import Tally


class Ruler(NamedTuple):
    """What every class is judged by."""

    sources: list[Callable]  # batch -> {label: (maps, scores)}
    fuse: Callable | None  # of a published score, which looks at all pictures of a class
    device: torch.device
    options: Any  # rounds, batch_size, seed, progress

    def judge_all(self, data) -> dict[str, dict]:
        """Each process its share of the classes; all get all results."""
        results = {}
        rank, world = _processes()
        hidden = not self.options.progress or rank > 0
        with tqdm(total=len(data), desc="evaluating", unit="picture", disable=hidden) as bar:
            for name in data.classes[rank::world]:
                results[name] = self.judge(name, data.filter(name), bar)
                _name_pictures(results[name][""]["pictures"], data, name)
        shares = [results] * world
        if world > 1:
            distributed.all_gather_object(shares, results)
        everyones = {name: result for share in shares for name, result in share.items()}
        return {name: everyones[name] for name in data.classes}

    def judge(self, name: str, part, bar: tqdm) -> dict[str, dict]:
        """{source of maps ("" for what is judged): its results} on one class."""
        tallies: dict[str, Tally] = {}
        for batch in part.batches(self.options.batch_size, device=self.device):
            defects = [part.records[i].defect for i in batch["index"]]
            for source in self.sources:
                with torch.no_grad():
                    judged = source(batch)
                for label, (maps, scores) in judged.items():
                    if label not in tallies:
                        rounds = 0 if label else self.options.rounds
                        tallies[label] = Tally(rounds, name, self.options.seed)
                    refuse_endless(maps, scores, [part.records[i].image for i in batch["index"]])
                    tallies[label].update(maps, scores, batch, defects)
            bar.update(len(defects))
        return {
            label: tally.result(None if label else self.fuse) for label, tally in tallies.items()
        }


def _name_pictures(rows: list[dict], data, class_name: str) -> None:
    own = [(i, r) for i, r in enumerate(data.records) if r.class_name == class_name]
    for row, (index, record) in zip(rows, own, strict=True):
        row["index"] = index
        row["path"] = record.image
        row["class_name"] = class_name
        row["defect"] = record.defect


def _processes() -> tuple[int, int]:
    """(this one's number, how many)"""
    up = distributed.is_available() and distributed.is_initialized()
    return (distributed.get_rank(), distributed.get_world_size()) if up else (0, 1)
