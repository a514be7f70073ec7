"""The doctor's verdicts on ill and healthy files that were written by hand, without its code.

The checkpoints have the public code's form at a width of 64: three adapters and a head of text.
"""

import math
import pickle

import pytest
import torch

from aaclip_lite import doctor
from aaclip_lite.checkpoint import save_adapter
from tests import tiny

WIDTH = 64
NAMES = [f"{block}.fc.0.weight" for block in range(4)]


def fresh(width=WIDTH):
    generator = torch.Generator().manual_seed(5)
    bound = math.sqrt(6 / (2 * width))
    return {name: bound * (2 * torch.rand(width, width, generator=generator) - 1) for name in NAMES}


def moved(weights, distance=0.002):
    """Every weight, up or down by so much."""
    generator = torch.Generator().manual_seed(6)
    signs = {name: torch.randn(w.shape, generator=generator).sign() for name, w in weights.items()}
    return {name: w + distance * signs[name] for name, w in weights.items()}


def adam(weights, steps, rate=1e-5):
    """What torch.optim.Adam.state_dict() holds after so many steps."""
    state = {}
    for number, w in enumerate(weights.values() if steps else ()):
        state[number] = {
            "step": torch.tensor(float(steps)),
            "exp_avg": torch.full_like(w, 1e-4),
            "exp_avg_sq": torch.full_like(w, 1e-6),
        }
    group = {"lr": rate, "betas": (0.5, 0.999), "eps": 1e-8, "params": [*range(len(weights))]}
    return {"state": state, "param_groups": [group]}


def public_file(path, weights, epoch=5, steps=540, **entries):
    contents = {"epoch": epoch, "text_adapter": weights, "text_optimizer": adam(weights, steps)}
    torch.save(contents | entries, path)
    return path


def healthy(path):
    return public_file(path, moved(fresh()))


def untrained(path):
    return public_file(path, fresh(), epoch=0, steps=0)


def untrained_and_above_a_tenth(path):
    return public_file(path, fresh(8), epoch=0, steps=0)


def trained_but_below_a_tenth_at_the_published_width(path):
    return public_file(path, moved(fresh(768), 1e-4))


def killed_early(path):
    return public_file(path, moved(fresh(), 0.001), epoch=2, steps=216)


def epoch_without_a_step(path):
    return public_file(path, moved(fresh()), steps=0)


def further_than_its_steps(path):
    """S0's expectation of a trained text adapter: mean |w| 0.25."""
    return public_file(path, {name: 2.5 * w for name, w in fresh().items()})


def of_another_run(path):
    """The resume of one run with the optimiser of another."""
    return public_file(path, moved(fresh(), 0.05))


def not_a_number(path):
    weights = moved(fresh())
    weights[NAMES[2]][3, 4] = math.nan
    return public_file(path, weights)


def optimiser_not_a_number(path):
    weights = moved(fresh())
    state = adam(weights, 540)
    state["state"][1]["exp_avg"][0, 0] = math.inf
    return public_file(path, weights, text_optimizer=state)


def all_zero(path):
    return public_file(path, moved(fresh()) | {NAMES[1]: torch.zeros(WIDTH, WIDTH)})


def one_adapter_at_its_start(path):
    return public_file(path, moved(fresh()) | {NAMES[1]: fresh()[NAMES[1]]})


def a_tensor_is_missing(path):
    weights = moved(fresh())
    del weights[NAMES[1]]
    return public_file(path, weights)


def cut_in_half(path):
    healthy(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in the file was run')",)


def with_code(path):
    path.write_bytes(pickle.dumps({"text_adapter": Trap()}))
    return path


def of_something_else(path):
    torch.save({"state_dict": fresh()}, path)
    return path


FILES = [
    (healthy, "trained", "epoch 5, optimiser step 540"),
    (untrained, "untrained", "no weight lies beyond"),
    (untrained_and_above_a_tenth, "untrained", "no weight lies beyond"),
    (trained_but_below_a_tenth_at_the_published_width, "trained", "mean |w| shows nothing"),
    (killed_early, "short", "epoch 2 of the 5"),
    (epoch_without_a_step, "inconsistent", "made no step"),
    (further_than_its_steps, "inconsistent", "540 steps of 1e-05 cannot do"),
    (of_another_run, "inconsistent", "cannot do"),
    (not_a_number, "broken", "2.fc.0.weight is not finite"),
    (optimiser_not_a_number, "broken", "exp_avg not finite"),
    (all_zero, "broken", "1.fc.0.weight is all zero"),
    (one_adapter_at_its_start, "partial", "text_adapter.1: at the start"),
    (a_tensor_is_missing, "broken", "1.fc.0.weight"),
    (cut_in_half, "broken", "not a complete weights file"),
    (with_code, "broken", "nothing was run"),
    (of_something_else, "broken", "neither an entry 'text_adapter'"),
]


@pytest.mark.parametrize("make, verdict, reason", FILES, ids=[f[0].__name__ for f in FILES])
def test_verdict_on_a_checkpoint(tmp_path, make, verdict, reason):
    finding = doctor.checkpoint(make(tmp_path / "text_adapter.pth"))
    assert finding.verdict == verdict, finding
    assert finding.healthy == (verdict == "trained")
    assert any(reason in said for said in finding.reasons), finding.reasons


def test_a_file_of_another_width_is_of_another_backbone(tmp_path):
    recipe = tiny.Recipe.released().replace(levels=(1, 2), text_blocks=2)
    model = tiny.model(tiny.clip(), recipe)
    finding = doctor.checkpoint(healthy(tmp_path / "t.pth"), model)
    assert finding.verdict == "wrong backbone"
    assert "(64, 64) in the file, (16, 16) in the model" in finding.reasons[0]


def test_the_optimisers_last_step_is_told(tmp_path):
    reasons = doctor.checkpoint(healthy(tmp_path / "t.pth")).reasons
    (said,) = [reason for reason in reasons if reason.startswith("optimiser:")]
    # both moments fully warmed: 1e-4 / sqrt(1e-6 / (1 - 0.999^540)) of the rate
    length = 1e-5 * 1e-4 / math.sqrt(1e-6 / (1 - 0.999**540))
    assert f"{length:.2g}" in said and "state for 4 of 4 tensors" in said


def test_the_start_of_the_files_own_seed_is_found(tmp_path):
    model = tiny.model(tiny.clip(), tiny.Recipe.released().replace(levels=(1, 2)), seed=3)
    start = {name: w.detach().clone() for name, w in model.trainable("text").items()}
    with torch.no_grad():
        for w in model.trainable("text").values():
            w.add_(0.01)
    metadata = {"step": 540, "epoch": 5, "seed": 3}
    finding = doctor.checkpoint(
        save_adapter(tmp_path / "text.safetensors", model, "text", metadata), model
    )
    lengths = [float(w.double().norm()) ** 2 for w in start.values()]
    count = sum(w.numel() for w in start.values())
    expected = 0.01 * math.sqrt(count / sum(lengths))
    (said,) = [reason for reason in finding.reasons if "of its seed 3" in reason]
    assert float(said.split()[2]) == pytest.approx(expected, rel=0.01)
    assert 1.2 < float(said.split()[-1]) < 1.6  # two unrelated starts: the root of two
    metadata["seed"] = 4
    finding = doctor.checkpoint(
        save_adapter(tmp_path / "text.safetensors", model, "text", metadata), model
    )
    assert any("seed 4 does not rebuild its start" in reason for reason in finding.reasons)


# ---- logs ----------------------------------------------------------------------------------------


def public_log(text, image, args="{'text_epoch': 5, 'image_epoch': 3}"):
    lines = [f"INFO:__main__:args: {args}"] if args else []
    for stage, entries in (("text", text), ("image", image)):
        for epoch, loss in entries:
            lines.append(f"INFO:__main__:training {stage} epoch {epoch}:")
            lines += [] if loss is None else [f"INFO:__main__:loss: {loss}"]
    return lines


TEXT = [(0, 0.9), (1, 0.7), (2, 0.6), (3, 0.55), (4, 0.5)]
IMAGE = [(0, 3.5), (1, 2.8), (2, 2.4)]
# a half of the pictures defective, defects of 5 %: all normal costs 0.8 a level
LOGS = [
    (public_log(TEXT, IMAGE), "learned", "null values assume"),
    (public_log(TEXT, IMAGE[:2]), "stopped", "image: 2 of 3 epochs have a loss"),
    (public_log(TEXT, []), "stopped", "stage image never began"),
    (public_log(TEXT, [*IMAGE[:2], (2, None)]), "stopped", "image: 2 of 3"),
    (public_log(TEXT, IMAGE, None), "stopped", "image: 3 of 20"),
    (public_log([*TEXT[:3], *TEXT], IMAGE), "doubled", "text: epoch 0, 1, 2 logged more than once"),
    (public_log([TEXT[1], TEXT[0], *TEXT[2:]], IMAGE), "out of order", "go back 1 times"),
    (public_log([*TEXT[:2], *TEXT[3:]], IMAGE), "gaps", "text: epoch 2 missing"),
    (public_log(TEXT, [(0, 6), (1, 5.1), (2, 4.98)]), "at null", "image: the last loss, 4.98"),
    (public_log([*TEXT[:4], (4, "nan")], IMAGE), "not finite", "text: loss of epoch 4"),
    (["nothing", "of interest"], "unreadable", "no line says"),
    ([], "unreadable", "no line says"),
]


@pytest.mark.parametrize("lines, verdict, reason", LOGS)
def test_verdict_on_a_log(lines, verdict, reason):
    finding = doctor.log(lines)
    assert finding.verdict == verdict, finding
    assert any(reason in said for said in finding.reasons), finding.reasons


def test_a_log_is_a_file_a_text_or_lines(tmp_path):
    lines = public_log(TEXT, IMAGE)
    (tmp_path / "train.log").write_text("\n".join(lines))
    every = [tmp_path / "train.log", str(tmp_path), "\n".join(lines), iter(lines)]
    assert [doctor.log(each).verdict for each in every] == ["learned"] * 4
    with pytest.raises(FileNotFoundError, match=r"gone\.log: no such log"):
        doctor.log(tmp_path / "gone.log")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"none of text\.jsonl"):
        doctor.log(tmp_path / "empty")


def test_times_that_go_back_are_two_runs():
    stamped = [
        f"2025-03-0{1 + i // 9} 10:00:0{i % 9} {x}" for i, x in enumerate(public_log(TEXT, IMAGE))
    ]
    finding = doctor.log(stamped)
    assert finding.verdict == "learned"
    assert "times from 2025-03-01 10:00:00 to 2025-03-02" in " ".join(finding.reasons)
    assert doctor.log([stamped[-1], *stamped]).verdict == "out of order"


def rows(values):
    return [
        f'{{"step": {n}, "loss": {v + 1}, "segmentation": {v}}}' for n, v in enumerate(values, 1)
    ]


def test_this_projects_rows(tmp_path):
    falling = [6 - 0.2 * i for i in range(20)]
    (tmp_path / "image.jsonl").write_text("\n".join(rows(falling)))
    finding = doctor.log(tmp_path / "image.jsonl", planned={"image": 20})
    assert finding.verdict == "learned"
    (line,) = finding.rows
    assert (line["stage"], line["what"], line["first"]) == ("image", "segmentation", 6)
    assert line["last"] == pytest.approx(sum(falling[-4:]) / 4)
    assert doctor.log(tmp_path / "image.jsonl", planned={"image": 30}).verdict == "stopped"
    assert doctor.log(rows([6.0] * 20)).verdict == "at null"
    assert doctor.log(['{"step": 1, "loss": null, "segmentation": null}']).verdict == "not finite"


def test_null_values_follow_from_the_masks():
    """Closed forms: half of the pictures with a defect of a tenth, one level, large masks."""
    (text, _) = doctor.log(public_log(TEXT, IMAGE), abnormal=0.5, area=0.1).rows
    focal = 0.5 * 0.1 * -math.log(2e-5)
    dice = 0.5 * (1 - 2 * 0.9 / 1.9) + 0.5
    assert text["all normal"] == pytest.approx(focal + dice, rel=0.01)
    assert 1.3 < text["coin toss"] < 1.6
    data = tiny_masks(areas=[0.0, 0.1])
    (same, _) = doctor.log(public_log(TEXT, IMAGE), data=data).rows
    assert same["all normal"] == pytest.approx(text["all normal"], rel=0.01)


def tiny_masks(areas):
    """Stands for a data set: samples with masks of these areas."""

    class Sample:
        def __init__(self, area):
            self.mask = torch.zeros(100)
            self.mask[: round(100 * area)] = 1

    return [Sample(area) for area in areas]
