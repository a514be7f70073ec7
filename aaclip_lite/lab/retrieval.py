"""The study behind chapter 14: what do weighted negatives, and S2's eight recommendations, change?

Special: every run costs the same (same pictures, steps and batches by seed) and differs from its
parent in one thing; a run that knows every false negative shows what weighting could gain at most.
Results are kept as they come, so a stopped command goes on where it was.

    python -m aaclip_lite.lab.retrieval              # about 20 minutes of one core; data/clinic/
    python -m aaclip_lite.lab.retrieval --seeds 2    # fewer seeds
"""

import json
import os
import time
from dataclasses import replace
from datetime import date
from itertools import product

import numpy as np
import torch
import tyro
from torch import nn

from ..course.retrieval import (
    CAPTIONS,
    Task,
    TopicBatches,
    Towers,
    class_tokens,
    draw_task,
    table,
    token_ids,
    write_log,
)
from ..files.environment import PACKAGE, generated_path
from ..files.keep import write_json
from ..load import load_clip
from ..variants.contrastive import Options, contrastive_loss, finetune
from ..world.factory import WORLD

TARGET = PACKAGE.parent / "data" / "clinic" / "retrieval.json"
COUNTS = {"training": 32, "validation": 8, "held out": 16}  # pictures of each product
BAND = Options("bandpass", "v3")
DEBIAS = Options("debias", "v3")
WIDE = {"m1": 0.2, "m2": 0.9}
RUNS: dict[str, tuple[str | None, Options]] = {  # name: (parent, options)
    "baseline": (None, Options()),
    **{f"debias {v}": ("baseline", replace(DEBIAS, version=v)) for v in ("v1", "v2", "v3")},
    **{f"bandpass {v}": ("baseline", replace(BAND, version=v)) for v in ("v1", "v2", "v3")},
    "wider band": ("bandpass v3", replace(BAND, settings=WIDE)),
    "softer edges": ("bandpass v3", replace(BAND, settings={"gamma": 0.1})),
    "diversity": ("bandpass v3", replace(BAND, diversity=0.01)),
    "adaptive coverage": ("bandpass v3", replace(BAND, coverage=(0.15, 0.35))),
    "beta 1": ("debias v3", replace(DEBIAS, beta=1.0)),
    "two terms (debias v2)": ("debias v3", replace(DEBIAS, version="v2")),
    "cosine schedule": ("baseline", Options(cosine=True)),
    "clipping at 1": ("baseline", Options(clip=1.0)),
    "warm-up of beta": ("bandpass v3", replace(BAND, warmup=3)),
    "all for bandpass": (
        "bandpass v3",
        replace(BAND, settings={**WIDE, "gamma": 0.1}, diversity=0.01, cosine=True, clip=1.0),
    ),
    "all for debias": ("debias v3", replace(DEBIAS, beta=1.0, cosine=True, clip=1.0)),
    "false negatives removed": ("baseline", Options()),
    # with lambda 0 all weights are equal: what v2 does without knowing anything of affinity
    "v2, equal weights": ("baseline", replace(DEBIAS, version="v2", settings={"lam": 0.0})),
}
ORACLE = "false negatives removed"


def remove_false_negatives(model: nn.Module, batches: TopicBatches, right, options: Options):
    """Plain cross-entropy in which a caption that is right for a picture is no negative of it."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser, rows = torch.optim.AdamW(trained, options.lr, weight_decay=0.01), []
    for epoch in range(1, options.epochs + 1):
        for step, chosen in enumerate(batches.indices(), 1):
            caption = torch.randint(CAPTIONS, (len(chosen),), generator=batches.generator)
            image, text, scale = model(batches.tokens[chosen], batches.ids[chosen, caption])
            S = scale * image @ text.T
            truth = right[chosen][:, chosen * CAPTIONS + caption]
            keep = ~truth | torch.eye(len(chosen), dtype=torch.bool)
            loss = contrastive_loss(S, keep.to(S.dtype), "v1")
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            row = {"epoch": epoch, "step": step, "loss": float(loss), "temp": float(scale)}
            rows.append(row | {"cross_entropy": float(contrastive_loss(S))})
    return rows


class Study:
    """Pictures encoded once, and one run after the other."""

    def __init__(self):
        torch.set_num_threads(1)
        self.clip = load_clip("lite")
        self.tasks = {name: draw_task(name, count) for name, count in COUNTS.items()}
        self.tokens = {name: class_tokens(self.clip, t.images) for name, t in self.tasks.items()}
        self.ids = {name: token_ids(self.clip, task) for name, task in self.tasks.items()}

    def batches(self, seed: int) -> TopicBatches:
        name = "training"
        return TopicBatches(self.tokens[name], self.ids[name], self.tasks[name].topic, seed)

    def judge(self, towers: Towers) -> dict:
        """Held-out pictures by owner and by what is right; validation pictures by owner."""
        S = {n: towers.similarity(self.tokens[n], self.ids[n]) for n in ("validation", "held out")}
        tasks = self.tasks
        return {
            "owner": table(S["held out"], tasks["held out"].owner),
            "right": table(S["held out"], tasks["held out"].right),
            "validation": table(S["validation"], tasks["validation"].owner),
        }

    def run(self, name: str, seed: int) -> dict:
        torch.manual_seed(seed)
        options, began, towers = RUNS[name][1], time.process_time(), Towers(self.clip)
        batches = self.batches(seed)
        if name == ORACLE:
            rows = remove_false_negatives(towers, batches, self.tasks["training"].right, options)
        else:
            rows = finetune(towers, batches, options)
        seconds = time.process_time() - began
        log = f"{name.replace(' ', '_')}-{seed}.csv"
        write_log(rows, generated_path("retrieval") / log)
        epochs = {"first": rows[: len(batches)], "last": rows[-len(batches) :]}
        means = {
            f"{when} {key}": float(np.mean([row[key] for row in part]))
            for when, part in epochs.items()
            for key in ("loss", "cross_entropy", "band_coverage_pct", "w_mean", "grad_norm")
            if key in part[0]
        }
        ends = {"temp": rows[-1]["temp"], "steps": len(rows), "seconds": round(seconds, 1)}
        return self.judge(towers) | means | ends

    def facts(self) -> dict:
        """What stands before any training."""
        return {
            "pictures": {name: len(task.images) for name, task in self.tasks.items()},
            "captions of a picture": CAPTIONS,
            "false negatives": {name: false_negatives(task) for name, task in self.tasks.items()},
            "start": self.judge(Towers(self.clip)),
        }


def false_negatives(task: Task) -> float:
    """The share of all pairs of a picture and another picture's caption that are right."""
    other = task.owner[None] != torch.arange(len(task.images))[:, None]
    return float(task.right[other].double().mean())


def learning_rates(study: Study) -> dict[str, float]:
    """Mean R@1 of both ways on the validation pictures, plain loss, seed 0."""
    recalls = {}
    for rate in (3e-4, 6e-4, 1.2e-3):
        towers = Towers(study.clip)
        finetune(towers, study.batches(0), Options(lr=rate))
        scores = study.judge(towers)["validation"]
        recalls[f"{rate:g}"] = (scores["i2t R@1"] + scores["t2i R@1"]) / 2
    return recalls


def main(seeds: int = 5) -> None:
    """The study behind chapter 14."""
    study, world = Study(), f"world {WORLD}, 128 px"
    result = json.loads(TARGET.read_text(encoding="utf-8")) if TARGET.exists() else {}
    if result.get("world") != world:
        result = {"world": world, "clip": study.clip.fingerprint(), "runs": {}} | study.facts()
        result["learning rates, validation"] = learning_rates(study)
    command = "python -m aaclip_lite.lab.retrieval"
    result |= {"command": command, "machine": f"{os.cpu_count()} CPU cores, one used"}
    for seed, name in product(map(str, range(seeds)), RUNS):
        parent, options = RUNS[name]
        entry = {"parent": parent, "options": repr(options), "seeds": {}}
        kept = result["runs"].setdefault(name, entry)["seeds"]
        if seed in kept:
            continue
        twins = [run for run in RUNS if run != ORACLE != name and RUNS[run][1] == options]
        known = result["runs"][twins[0]]["seeds"].get(seed) if twins else None
        kept[seed] = known or study.run(name, int(seed))
        result["date"] = str(date.today())
        write_json(TARGET, result)
        print(f"{seed} {name:24s} R@1 {kept[seed]['owner']['i2t R@1']:.3f}")


if __name__ == "__main__":
    tyro.cli(main)
