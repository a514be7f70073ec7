"""The cross-attention variant: its arithmetic, its seams, and that it trains, resumes, saves and
loads as the method does.
"""

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))
import tiny
from reference.formula import noise

from aaclip_lite import doctor, evaluate, train
from aaclip_lite.checkpoint import MismatchError, load_adapter, read_metadata
from aaclip_lite.detector import AnomalyDetector
from aaclip_lite.service.runs import train_image, train_text
from aaclip_lite.variants import cross_attention as ca

RECIPE = tiny.RECIPE.replace(text_steps=2, image_steps=2)


def filled(name, *shape):
    return torch.from_numpy(noise(name, torch.Size(shape).numel())).reshape(shape)


def params(query, context, inner):
    widths = {"q_proj": (inner, query), "k_proj": (inner, context), "v_proj": (inner, context)}
    widths["out_proj"] = (query, inner)
    made = {f"{name}.weight": filled(f"{name}.weight", *shape) for name, shape in widths.items()}
    return made | {f"{n}.bias": 0.1 * filled(f"{n}.bias", s[0]) for n, s in widths.items()}


def by_hand(x, context, weights, heads):
    """One token, one head at a time."""
    found = torch.zeros(*x.shape[:2], weights["q_proj.bias"].numel(), dtype=x.dtype)

    def project(name, token):
        return weights[f"{name}.weight"] @ token + weights[f"{name}.bias"]

    width = found.shape[-1] // heads
    for b, tokens in enumerate(x):
        rows = context[b] if len(context) == len(x) else context.mean(0)
        for n, token in enumerate(tokens):
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                query = project("q_proj", token)[part]
                keys = torch.stack([project("k_proj", row)[part] for row in rows])
                values = torch.stack([project("v_proj", row)[part] for row in rows])
                found[b, n, part] = (keys @ query / width**0.5).softmax(0) @ values
    return found @ weights["out_proj.weight"].T + weights["out_proj.bias"]


@pytest.mark.parametrize("contexts", [3, 1, 2], ids=["own", "shared", "averaged"])
def test_attention_is_what_a_loop_over_tokens_and_heads_finds(contexts):
    x = filled("x", 3, 4, 12)
    context = filled("context", contexts, 5, 8)
    weights = params(12, 8, 8)
    found = ca.cross_attention(x, context, weights, heads=2)
    assert torch.allclose(found, by_hand(x, context, weights, 2), atol=1e-12)


def test_three_ways_to_add_the_context():
    x = filled("x", 2, 3, 8)
    c = 7 * filled("c", 2, 3, 8)
    assert torch.equal(ca.add_context(x, c, "v1"), x + c)
    added = {version: (ca.add_context(x, c, version) - x).norm(dim=-1) for version in ca.VERSIONS}
    assert torch.allclose(added["v2"], 0.1 * added["v1"])
    assert torch.allclose(added["v3"], 0.1 * x.norm(dim=-1), rtol=1e-5)
    with pytest.raises(ValueError, match=r"v4.*choose one of v1, v2, v3"):
        ca.add_context(x, c, "v4")


def test_only_the_third_version_takes_directions_of_words():
    context = 17 * filled("context", 2, 5, 8)
    assert all(torch.equal(ca.prepare_context(context, v), context) for v in ("v1", "v2"))
    assert torch.allclose(ca.prepare_context(context, "v3").norm(dim=-1), torch.ones(2, 5).double())


def test_weights_at_the_published_widths():
    words = ca.CrossAttention(768, 768)
    pictures = ca.CrossAttention(1024, 768)
    assert ca.count_parameters(words) == 4 * (768 * 768 + 768)
    shapes = {name: tuple(p.shape) for name, p in pictures.named_parameters()}
    assert shapes["q_proj.weight"] == (768, 1024) and shapes["out_proj.weight"] == (1024, 768)
    assert ca.count_parameters(pictures) == 2 * 1024 * 768 + 2 * 768 * 768 + 3 * 768 + 1024


def test_without_a_context_tokens_stay_as_they_are():
    x = torch.randn(2, 3, 16)
    assert torch.equal(ca.CrossAttention(16, 16)(x, None), x)
    with pytest.raises(ValueError, match="heads = 5 do not divide the width 16"):
        ca.CrossAttention(16, 16, heads=5)


def test_attention_drops_out_in_training_only():
    module = ca.CrossAttention(16, 16)
    x, context = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    assert not torch.equal(module(x, context), module(x, context))
    module.eval()
    assert torch.equal(module(x, context), module(x, context))


# ---- the model -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clip():
    return tiny.clip()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.draw(tmp_path_factory.mktemp("tiny") / "data")


def build(clip, version="v3", seed=0, **changes):
    torch.manual_seed(seed)
    return ca.CrossAttentionCLIP(clip, RECIPE.replace(**changes), version=version, heads=2)


def test_without_contexts_it_is_the_method(clip, data):
    batch = next(data.batches(4))
    own = build(clip)
    base = tiny.model(clip, RECIPE)
    base.text_adapter.load_state_dict(own.text_adapter.state_dict())
    base.image_adapter.load_state_dict(own.image_adapter.state_dict())
    x = own.preprocess(batch["image"])
    assert torch.equal(own.text_anchors(["bolt"])["bolt"], base.text_anchors(["bolt"])["bolt"])
    assert torch.equal(own(x).detection, base(x).detection)
    seen = own.eval()(x, batch["class_name"]).detection
    assert not torch.allclose(seen, base(x).detection, atol=1e-4)
    own.use_context = False
    assert torch.equal(own(x, batch["class_name"]).detection, base(x).detection)


def test_each_picture_sees_the_words_of_its_own_class(clip, data):
    model = build(clip, "v1").eval()
    x = model.preprocess(next(data.batches(4))["image"])
    mixed = model(x, ["bolt", "cup", "bolt", "cup"]).levels[-1]
    bolts = model(x, ["bolt"] * 4).levels[-1]
    assert torch.allclose(mixed[0], bolts[0], atol=1e-5)
    assert not torch.allclose(mixed[1], bolts[1], atol=1e-4)


def test_words_see_the_pictures_of_the_batch_between_first_block_and_adapter(clip, data):
    model = build(clip, "v1", adapter_init="xavier").eval()
    x = model.preprocess(next(data.batches(4))["image"])
    context = model.dense_features(x)[0].mean(0, keepdim=True)
    sentence = model.clip.tokenize(["a bolt"])
    with model.seeing(x):
        seen = model.encode_text(sentence)
    length = int(sentence.argmax()) + 1
    adapt = super(type(model), model).after_block("text")

    def look(index, rows):
        found = model.text_attention(rows[None], context)[0] if index == 0 else 0
        return adapt(index, rows + found)

    places, rows = model.clip.text_walk(sentence[:, :length], look)
    expected = model.text_adapter[-1](model.clip.ln_final(F.embedding(places[:, -1], rows)))
    assert torch.allclose(seen, expected, atol=1e-6)
    assert not torch.allclose(
        model.encode_text(sentence), seen, atol=1e-3
    )  # afterwards it is blind


@pytest.mark.parametrize("stage", ["text", "image"])
def test_a_step_reaches_adapters_and_attention_of_its_stage(clip, data, stage):
    model = build(clip, adapter_init="xavier")
    weights = train.free(model, stage)
    batch = next(data.batches(4))
    anchors = None if stage == "text" else model.text_anchors(data.classes)
    sum(train.step(model, batch, anchors, stage).values()).backward()
    assert {name.split(".")[0] for name in weights} == {f"{stage}_adapter", f"{stage}_attention"}
    # a key's bias shifts all scores of a query alike, which softmax does not see
    silent = {n for n, p in weights.items() if p.grad is None or not p.grad.abs().max() > 1e-9}
    assert silent <= {f"{stage}_attention.k_proj.bias"}, silent


def test_a_run_that_was_stopped_ends_with_the_same_weights(clip, data, tmp_path):
    whole = build(clip)
    train_text(whole, data, tmp_path / "whole", steps=4, seed=1)
    parts = build(clip)

    def stop(model, history):
        if len(history.rows) == 2:
            raise KeyboardInterrupt

    history = train_text(parts, data, tmp_path / "parts", stop, steps=4, seed=1, save_steps=1)
    assert not history.finished
    again = build(clip, seed=5)
    train_text(again, data, tmp_path / "parts", steps=4, seed=1)
    for name, weight in whole.trainable("text").items():
        assert torch.equal(weight, again.trainable("text")[name]), name


def test_a_run_that_was_stopped_between_its_stages_ends_with_the_same_weights(clip, data, tmp_path):
    """A bug: drop-out of stage 2 went on where stage 1 had left the random numbers."""
    found = []
    for folder in ("whole", "parts"):
        model = build(clip)
        train_text(model, data, tmp_path / folder, seed=1)
        if folder == "parts":  # killed here, and started again
            model = build(clip)
            train_text(model, data, tmp_path / folder, seed=1)
        train_image(model, data, tmp_path / folder, seed=1)
        found.append(model.trainable("image"))
    assert tiny.same(*found)


@pytest.fixture
def run(clip, data, tmp_path):
    model = build(clip)
    train_text(model, data, tmp_path / "run")
    train_image(model, data, tmp_path / "run")
    return model.eval(), tmp_path / "run"


def test_a_run_loads_as_a_detector_that_sees_words(clip, data, run):
    model, folder = run
    assert read_metadata(folder / "image.safetensors")["variant"] == model.variant
    detector = AnomalyDetector.load(folder, clip)
    picture = data[0].image
    x = model.preprocess(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    with torch.no_grad():
        expected = model(x, ["bolt"]).detection
        found = detector.features(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255, "bolt")
    assert torch.equal(found.detection, expected)
    again = AnomalyDetector.load(detector.save(folder.parent / "again"), clip)
    assert again.predict(picture, "bolt").score == detector.predict(picture, "bolt").score


@pytest.mark.parametrize("other", ["base", "v1"])
def test_files_of_another_variant_are_refused(clip, run, other):
    _, folder = run
    model = tiny.model(clip, RECIPE) if other == "base" else build(clip, "v1")
    with pytest.raises(MismatchError, match=r"text\.safetensors .*variant is .*cross_attention"):
        load_adapter(folder / "text.safetensors", model)


# ---- the warm start ------------------------------------------------------------------------------


@pytest.fixture
def base(clip, data, tmp_path):
    model = tiny.model(clip, RECIPE, seed=3)
    train_text(model, data, tmp_path / "base")
    train_image(model, data, tmp_path / "base")
    return model, tmp_path / "base"


def test_a_warm_start_takes_adapters_only_and_says_what_stays_new(clip, base):
    trained, folder = base
    model = build(clip)
    before = model.image_attention.q_proj.weight.clone()
    new = ca.load_base(model, folder)
    assert new == sorted(
        name for s in ("text", "image") for name in model.trainable(s) if "attention" in name
    )
    for stage in ("text", "image"):
        for name, weight in trained.trainable(stage).items():
            assert torch.equal(weight, model.trainable(stage)[name])
    assert torch.equal(before, model.image_attention.q_proj.weight)
    half = build(clip)
    assert any("image_adapter" in name for name in ca.load_base(half, folder / "text.safetensors"))


def test_a_checkpoint_in_the_folder_never_replaces_the_base_silently(clip, data, base, tmp_path):
    out = tmp_path / "out"
    train_text(build(clip), data, out)  # another run of the variant, begun with nothing
    model = build(clip)
    ca.load_base(model, base[1])
    with pytest.raises(MismatchError, match=r"data is .*base [0-9a-f]+.*another out folder"):
        train_text(model, data, out)


def test_a_base_of_another_recipe_or_system_is_refused(clip, base, run):
    _, folder = base
    with pytest.raises(MismatchError, match=r"recipe\.text_mix is 0\.3 in the file, 0\.2 here"):
        ca.load_base(build(clip, text_mix=0.2), folder)
    with pytest.raises(
        MismatchError, match=r"variant is .*cross_attention.* in the file, None here"
    ):
        ca.load_base(build(clip), run[1])


def test_judging_draws_no_dropout_and_training_does(clip, data):
    model = build(clip)
    assert train.free(model, "image") and model.training
    first, again = (evaluate(model, data, rounds=1, progress=False).mean for _ in range(2))
    assert first["pixel_auroc"] == again["pixel_auroc"] and model.training


def test_feedback_shows_the_words_what_the_image_side_has_learned(clip, data):
    model = build(clip, adapter_init="xavier")
    x = model.preprocess(next(data.batches(4))["image"])
    blind = model.text_anchors(["bolt"])["bolt"]
    model.eval()
    with model.seeing(x):
        first = model.text_anchors(["bolt"])["bolt"]
    model.feedback = True
    with model.seeing(x):
        later = model.text_anchors(["bolt"])["bolt"]
    assert not torch.allclose(blind, first) and not torch.allclose(first, later)
    assert not later.requires_grad or model._pictures is None


def test_feedback_trains_round_after_round_with_falling_rates(clip, data):
    model = build(clip)
    rounds = ca.feed_back(model, data, loops=2, text_steps=2, image_steps=1, decay=0.5)
    assert [(h.stage, len(h.rows)) for h in rounds] == [("text", 2), ("image", 1)] * 2
    rates = [history.rows[0]["lr"] for history in rounds]
    assert rates[2:] == [rate / 2 for rate in rates[:2]]
    assert model.recipe == RECIPE and model.feedback


# ---- a run's folder at the other doors -----------------------------------------------------------


@pytest.mark.parametrize("version", ca.VERSIONS)
def test_an_exported_detector_gives_the_same_map_and_score(clip, data, tmp_path, version):
    ort = pytest.importorskip("onnxruntime")
    detector = AnomalyDetector(build(clip, version, adapter_init="xavier"))
    detector.remember([data[i].image for i in range(0, 6, 2)], "bolt")
    picture = data[1].image
    found = detector.predict(picture, "bolt")
    path = detector.to_onnx(tmp_path / "bolt.onnx", "bolt")
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    heat, score = ort.InferenceSession(path).run(None, {"image": x.numpy()})
    assert abs(heat[0] - found.map).max() < 1e-4 * abs(found.map).max()
    assert score[0] == pytest.approx(found.score, rel=1e-4)


def test_the_doctor_knows_attention_and_rebuilds_the_start_of_its_seed(clip, data, tmp_path):
    model = build(clip, seed=7)
    train_text(model, data, tmp_path, seed=7, steps=4)
    finding = doctor.checkpoint(tmp_path / "text.safetensors", model)
    assert finding.verdict == "trained", finding
    assert any("start of its seed 7; another seed's" in reason for reason in finding.reasons)
    assert {row["tensor"].split(".")[0] for row in finding.rows} == {
        "text_adapter",
        "text_attention",
    }
    alone = doctor.checkpoint(tmp_path / "text.safetensors")
    assert "broken" not in repr(alone)
    base = doctor.checkpoint(tmp_path / "text.safetensors", tiny.model(clip, RECIPE))
    assert base.verdict == "wrong variant" and "cross_attention" in base.reasons[0]


def test_the_doctor_does_not_count_a_base_as_steps_of_the_run(clip, data, tmp_path):
    trained = tiny.model(clip, RECIPE, seed=3)
    train_text(trained, data, tmp_path / "base", steps=60)
    train_image(trained, data, tmp_path / "base")
    model = build(clip)
    ca.load_base(model, tmp_path / "base")
    train_text(model, data, tmp_path / "run")
    finding = doctor.checkpoint(tmp_path / "run" / "text.safetensors", model)
    assert finding.verdict == "trained", finding
    assert any("adapters of another run" in reason for reason in finding.reasons)
    assert any("start of its seed 0" in reason for reason in finding.reasons)
