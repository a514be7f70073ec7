"""The study of chapter 16: which version of the box loss, which learning rates, which of S4's five
issues, and how good the system is on products that nothing was trained on.

Special: every run is kept in data/clinic/concepts.json as soon as it is measured, so a stopped
command goes on where it was. S4's run of 2,650 steps is shortened; rates are raised by the same
factor, so that AdamW can move each weight equally far (rate x steps). Choices use validation
products; the test products are looked at once, by the chosen chain. Only "final" reads pixels.

    python -m aaclip_lite.lab.concepts_study          # 9 CPU minutes, parts and tokens made before
    python -m aaclip_lite.lab.concepts_study --seeds 0
    python -m aaclip_lite.lab.concepts_study --net    # the network on pixels, 9 CPU minutes
"""

from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

import torch
import tyro

from ..course import concept_measures as measures
from ..course.flawed_parts import CONCEPTS, beside, detector_model, gather, prepared
from ..files.environment import generated_path
from ..variants import concepts, pixels
from .study import Runs, cpu_seconds

RESULTS = Path(__file__).parents[2] / "data" / "clinic" / "concepts.json"
SIZES = {"train": (8, 27, 6), "val": (15, 45, 12), "test": (12, 27, 9)}  # sound, one, two defects
WITH_NET = SIZES | {"train": (8, 27, 0)}  # one defect each, as the network on pixels saw them
STEPS = {"concepts": 100, "prototypes": 100, "task": 100}
FULL = {"concepts": 900, "prototypes": 300, "task": 500}
ABOUT = {
    "command": "python -m aaclip_lite.lab.concepts_study",
    "sizes": SIZES,
    "steps": STEPS,
    "steps_of_final": FULL,
    "machine": "two-core cloud CPU",
}
RUNS = Runs(RESULTS, "runs", ABOUT)
S4_STEPS = 2650
RATES = {  # of neck (in S4 the backbone) and concept head; S4's and its proposal before stretching
    "S4": (1e-6, 2e-5),
    "proposed": (1e-5, 1e-4),
    "ours": (3e-3, 3e-3),
}
LATER = {"prototypes": {"projector": 3e-3, "prototypes": 3e-3}, "task": {"task_head": 0.1}}
PROTOTYPES = {
    "published, tau 0.1": {"loss": concepts.prototype_loss, "tau": 0.1},
    "published, tau 0.3": {"loss": concepts.prototype_loss, "tau": 0.3},
    "assigned, tau 0.1": {"loss": concepts.assigned_loss, "tau": 0.1},
}
STAGE_1 = {  # name -> (version, beta, far, rates)
    "labels only": ("bce", 0.0, "ceil", "ours"),
    "old": ("old", 0.5, "ceil", "ours"),
    "fixed": ("fixed", 0.5, "ceil", "ours"),
    "bce": ("bce", 0.5, "ceil", "ours"),
    "hinge": ("hinge", 0.5, "ceil", "ours"),
    "as S4 found it": ("old", 0.5, "floor", "S4"),
    "issue 1: fixed loss": ("fixed", 0.5, "floor", "S4"),
    "issue 2: proposed rates": ("old", 0.5, "floor", "proposed"),
    "issues 1 and 2": ("fixed", 0.5, "floor", "proposed"),
}
CHAINS = {  # name -> (stage 1, stage 2); issues 3 and 5 only look, and change no weight
    "as S4 found it": ("as S4 found it", "published, tau 0.1"),
    "issue 4: tau 0.3": ("as S4 found it", "published, tau 0.3"),
    "all five issues": ("issues 1 and 2", "published, tau 0.3"),
    "good rates, old loss": ("old", "published, tau 0.1"),
    "bce, published": ("bce", "published, tau 0.1"),
    "bce, assigned": ("bce", "assigned, tau 0.1"),
}


def stretched(name: str, steps: int) -> dict[str, float]:
    """Rates of neck and concept head; S4's are raised as far as its steps are cut, and twice for the
    schedule that halves their mean.
    """
    factor = 1 if name == "ours" else 2 * S4_STEPS / steps
    neck, head = RATES[name]
    return {"neck": neck * factor, "concept_head": head * factor}


def new_model(seed: int, width: int, sure: int = 0) -> concepts.ConceptModel:
    torch.manual_seed(seed)
    return concepts.ConceptModel(width, len(CONCEPTS), 3, sure=sure)


def train_net() -> None:
    """The network on pixels, from every picture of the training products; kept in half precision."""
    parts = gather("train", 50, 99, 0)
    maps = [pixels.label_map(masks, parts.images.shape[-1]) for masks in parts.masks]
    torch.manual_seed(0)
    net = pixels.PixelNet(len(CONCEPTS) - 1)
    pixels.teach(net, parts.images, torch.stack(maps))
    pixels.keep(net)


def first_stage(model, data, name: str, steps: int) -> list[dict]:
    version, beta, far, rates = STAGE_1[name]
    options = {"version": version, "beta": beta, "far": far}
    return concepts.train(model, data, "concepts", steps, stretched(rates, steps), **options)


def later_stages(model, data, name: str, steps: dict[str, int]) -> None:
    options = PROTOTYPES[name]
    concepts.train(model, data, "prototypes", steps["prototypes"], LATER["prototypes"], **options)
    weight = data.verdicts.bincount().float().reciprocal()  # each verdict counts alike
    weight = weight / weight.mean()
    concepts.train(model, data, "task", steps["task"], LATER["task"], weight=weight)


def stage_1_figures(model, tokens, parts) -> dict:
    cams = measures.seen(model.cams, tokens)
    by_concept = measures.concept_auroc(cams, parts.labels)
    hits, chance = measures.pointing(cams, parts.boxes)
    return {
        "auroc": sum(by_concept) / len(by_concept),
        "auroc_defects": sum(by_concept[:-1]) / (len(by_concept) - 1),
        "auroc_by_concept": dict(zip(CONCEPTS, by_concept, strict=True)),
        "pointing": sum(hits) / len(hits),
        "pointing_chance": sum(chance) / len(chance),
        "spread_of_maps": float(cams.std()),
    }


def chain_figures(model, tokens, parts) -> dict:
    stats = concepts.similarity_stats(model.prototypes.detach(), model.per_concept)
    said = measures.seen(model, tokens).argmax(1)
    figures = {name: float(value) for name, value in stats._asdict().items()}
    figures |= measures.prototype_figures(model, tokens, parts.labels)
    return figures | {"macro_f1": measures.macro_f1(said, parts.verdicts)}


def test_figures(model, tokens, parts) -> dict:
    """Everything on the test products, with intervals over products."""
    cams = measures.seen(model.cams, tokens)
    said = measures.seen(model, tokens).argmax(1)

    def auroc(rows):
        by_concept = measures.concept_auroc(cams[rows], parts.labels[rows])
        return sum(by_concept) / len(by_concept)

    hits = [measures.pointing(cams[i : i + 1], [boxes])[0] for i, boxes in enumerate(parts.boxes)]

    def hit(rows):
        chosen = [one for row in rows for one in hits[row]]
        return sum(chosen) / len(chosen)

    def f1(rows):
        return measures.macro_f1(said[rows], parts.verdicts[rows])

    figures = stage_1_figures(model, tokens, parts) | chain_figures(model, tokens, parts)
    for name, figure in (("auroc", auroc), ("pointing", hit), ("macro_f1", f1)):
        figures[f"{name}_interval"] = measures.interval(figure, parts.products)
    return figures


def baselines(data, everything) -> dict:
    """Majority and a linear probe, whose weight decay is chosen on validation products."""
    train = measures.pooled(data.tokens)
    others = [measures.pooled(everything[split][1]) for split in ("val", "test")]
    val, test = (everything[split][0].verdicts for split in ("val", "test"))
    tried = {}
    for decay in (0.3, 3.0, 30.0):
        on_val, on_test = measures.linear_probe(train, data.verdicts, others, decay)
        tried[decay] = (measures.macro_f1(on_val, val), measures.macro_f1(on_test, test))
    best = max(tried, key=lambda decay: tried[decay][0])
    return {
        "probe_decay": best,
        "probe_val": tried[best][0],
        "probe_test": tried[best][1],
        "majority_val": measures.majority(data.verdicts, val),
        "majority_test": measures.majority(data.verdicts, test),
    }


def final(splits: dict, seed: int, sure: int = 0) -> dict:
    """The chosen chain at full length, on parts and tokens by split."""
    (parts, tokens), (val, val_tokens), (test, test_tokens) = (
        splits[split] for split in ("train", "val", "test")
    )
    data = measures.batch_of(tokens, parts)
    model = new_model(seed, tokens.shape[1], sure)
    first_stage(model, data, "bce", FULL["concepts"])
    later_stages(model, data, "assigned, tau 0.1", FULL)
    on_val = stage_1_figures(model, val_tokens, val) | chain_figures(model, val_tokens, val)
    return test_figures(model, test_tokens, test) | {"val": on_val}


def measure(name: str, run: Callable[[], dict]) -> None:
    if name not in RUNS.rows:
        began = cpu_seconds()
        row = run()
        RUNS.add(name, row | {"cpu_seconds": round(cpu_seconds() - began, 1)})


def study(seeds: tuple[int, ...]) -> None:
    folder = generated_path("concepts")
    everything = prepared(detector_model(), SIZES, folder)
    data = measures.batch_of(everything["train"][1], everything["train"][0])
    val, val_tokens = everything["val"]
    width = data.tokens.shape[1]
    measure("baselines", lambda: baselines(data, everything))

    def stage_1(name, seed):
        model = new_model(seed, width)
        history = first_stage(model, data, name, STEPS["concepts"])
        torch.save(model.state_dict(), folder / f"{name} {seed}.pt".replace(" ", "_"))
        return stage_1_figures(model, val_tokens, val) | {"loss": history[-1]["loss"]}

    def chain(name, seed):
        first, second = CHAINS[name]
        model = new_model(seed, width)
        model.load_state_dict(torch.load(folder / f"{first} {seed}.pt".replace(" ", "_")))
        later_stages(model, data, second, STEPS)
        return chain_figures(model, val_tokens, val)

    for name, seed in product(STAGE_1, seeds):
        measure(f"stage 1, {name} {seed}", partial(stage_1, name, seed))
    for name, seed in product(CHAINS, seeds):
        measure(f"chain, {name} {seed}", partial(chain, name, seed))
    net = pixels.load()
    both = beside(prepared(detector_model(), WITH_NET, folder), net)
    more = measures.batch_of(both["train"][1], both["train"][0])
    measure("baselines beside pixels", lambda: baselines(more, both))
    for seed in seeds:
        measure(f"tokens alone {seed}", partial(final, everything, seed))
        measure(f"final {seed}", partial(final, both, seed, net.channels))


def main(seeds: tuple[int, ...] = (0, 1, 2), net: bool = False) -> None:
    """The study of chapter 16.

    Args:
        net: train only the network on pixels
    """
    train_net() if net else study(seeds)


if __name__ == "__main__":
    tyro.cli(main, config=(tyro.conf.FlagCreatePairsOff,))
