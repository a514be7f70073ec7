"""Pretraining: its words, its own forward pass against open_clip's, its losses, its batches, what
it exports.
"""

import json
from collections import Counter
from concurrent.futures import Future

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

from aaclip_lite.clip import MEAN_STD
from aaclip_lite.files.weights import read_state
from aaclip_lite.load import blank_clip, load_clip
from aaclip_lite.world import factory
from aaclip_lite.world.clip import pool as pool_module
from aaclip_lite.world.clip import run as run_module
from aaclip_lite.world.clip.batches import make_batch
from aaclip_lite.world.clip.learner import Learner
from aaclip_lite.world.clip.losses import losses
from aaclip_lite.world.clip.options import HARD_THINGS, MODEL, REGIONS, Pretraining
from aaclip_lite.world.clip.pool import Pool
from aaclip_lite.world.clip.words import DAMAGE_WORDS, misplaced, vocabulary
from aaclip_lite.world.factory import NotShown, caption, draw
from aaclip_lite.world.products import PRODUCTS, names


@pytest.fixture(scope="module")
def tokenizer():
    return blank_clip(MODEL)[1]


@pytest.fixture(scope="module")
def ids(tokenizer):
    return vocabulary(tokenizer)


def learner(ids):
    """Every weight random: biases of zero or gains of one would hide a mistake."""
    torch.manual_seed(0)
    model = Learner(ids).eval()
    with torch.no_grad():
        for p in model.clip.parameters():
            p.add_(torch.randn_like(p) * 0.02)
    return model


class Inline:
    """Runs what it is given at once, in this process."""

    def __init__(self, *options):
        pass

    def submit(self, function, *args):
        done = Future()
        done.set_result(function(*args))
        return done


class InlinePool(Pool):
    """The pool, filled here instead of by processes."""

    def fill(self, times):
        self.order(8 * times)
        self.collect()
        return self


@pytest.fixture
def quiet(monkeypatch):
    """No processes; and draws that depend on the time would let a test of chance fail once in a
    hundred runs.
    """
    monkeypatch.setattr(pool_module, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(pool_module.time, "time_ns", lambda: 1)


@pytest.fixture
def few(monkeypatch):
    """Four products only, so that a small pool has several pictures of each."""
    kept = {name: PRODUCTS[name] for name in ("candle", "brick", "hinge", "bottle")}
    monkeypatch.setattr(pool_module, "PRODUCTS", kept)


@pytest.fixture
def pool(quiet, few):
    return InlinePool(Pretraining(pool=48, damage_share=0.3)).fill(5)


# ---- words ---------------------------------------------------------------------------------------


def test_vocabulary_covers_captions_phrases_and_damage_words(tokenizer, ids):
    known, rng = set(ids), np.random.default_rng(1)
    assert ids == sorted(known) and 0 in known and len(ids) < 2000
    for number, name in enumerate(PRODUCTS):
        for seed in (number, number + 100):
            picture = draw(name, seed, 64, things=3, regions=True)
            texts = [
                caption(picture.facts, rng, bool(i % 2), word)
                for i in range(3)
                for word in (*DAMAGE_WORDS, None)
            ]
            texts += [phrase for phrase, _ in picture.regions]
            texts += ["a damaged object", "a photo of a flawless object."]
            unknown = set(tokenizer(texts).flatten().tolist()) - known
            assert not unknown, f"{name}: {tokenizer.decode(sorted(unknown))}"


def test_a_word_outside_the_vocabulary_is_an_error(tokenizer, ids):
    word = int(tokenizer(["zeppelin"])[0, 1])
    assert word not in ids
    with pytest.raises(ValueError, match=f"token {word} is not in the embedded vocabulary"):
        learner(ids).words(tokenizer(["a zeppelin"]))


# ---- the model -----------------------------------------------------------------------------------


@torch.no_grad()
def test_pictures_pass_as_in_open_clip(ids):
    model, images = learner(ids), torch.randn(3, 3, 128, 128)
    everything = torch.arange(256).expand(3, -1)
    cls, levels, last = model.patches(images, everything)
    seen = {}
    for number, block in enumerate(model.clip.visual.transformer.resblocks, 1):
        block.register_forward_hook(lambda _, __, out, number=number: seen.update({number: out}))
    expected = model.clip.encode_image(images)
    torch.testing.assert_close(cls, expected, rtol=1e-5, atol=1e-5)
    for level, number in zip(levels, (2, 4, 6, 8), strict=True):
        tokens = model.clip.visual.ln_post(seen[number]) @ model.clip.visual.proj
        torch.testing.assert_close(level, tokens[:, 1:], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last, seen[8][:, 1:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_kept_patches_keep_their_place(ids):
    """Attention sees the kept patches only; each keeps the position it had."""
    model, images = learner(ids), torch.randn(2, 3, 128, 128)
    kept = torch.stack([torch.randperm(256)[:256] for _ in range(2)])
    shuffled, whole = (
        model.patches(images, kept),
        model.patches(images, torch.arange(256).expand(2, -1)),
    )
    torch.testing.assert_close(shuffled[0], whole[0], rtol=1e-4, atol=1e-5)
    order = kept[..., None].expand(-1, -1, whole[2].shape[-1])
    torch.testing.assert_close(shuffled[2], torch.gather(whole[2], 1, order), rtol=1e-4, atol=1e-5)
    half = model.patches(images, kept[:, :128])[1][0]
    assert half.shape == (2, 128, MODEL["embed_dim"])
    assert not torch.allclose(half, shuffled[1][0][:, :128], atol=1e-3)


@torch.no_grad()
def test_sentences_pass_as_in_open_clip(tokenizer, ids):
    model = learner(ids)
    tokens = tokenizer(["a photo of a bottle.", "a red candle with a blue dot at the top left", ""])
    # rows rise with ids, so open_clip's search for the end of text works on them too
    rows = model.row_of[tokens]
    expected = F.normalize(model.clip.encode_text(rows), dim=-1)
    torch.testing.assert_close(model.words(tokens), expected, rtol=1e-5, atol=1e-5)


def test_half_precision_stays_close(ids):
    full, half = learner(ids), learner(ids)
    half.dtype = torch.bfloat16
    images, kept = torch.randn(2, 3, 128, 128), torch.arange(256).expand(2, -1)
    with torch.no_grad():
        a, b = (F.normalize(m.patches(images, kept)[0].float(), dim=-1) for m in (full, half))
    assert (a * b).sum(-1).min() > 0.999 and not torch.equal(a, b)


# ---- losses and batches --------------------------------------------------------------------------


def test_a_few_steps_lower_every_loss(pool, tokenizer, ids):
    torch.manual_seed(0)
    model, options = Learner(ids), Pretraining(batch=8)
    batch = make_batch(pool, tokenizer, options, np.random.default_rng(0), 48, "cpu")
    optimizer, history = torch.optim.AdamW(model.parameters(), 1e-3), []
    for _ in range(9):
        parts = losses(model, batch, options)
        history.append({name: value.item() for name, value in parts.items()})
        optimizer.zero_grad()
        parts["loss"].backward()
        optimizer.step()
    first, last = history[0], history[-1]
    weights = {"caption": 1, "phrase": 0.7, "patch": 1, "where": 0.5, "pixels": 0.3}
    assert last["loss"] == pytest.approx(
        sum(last[name] * weight for name, weight in weights.items()), rel=1e-5
    )
    assert all(last[name] < first[name] for name in first), (first, last)
    assert all(
        p.grad is not None for name, p in model.named_parameters() if "logit_bias" not in name
    )


def test_a_phrase_that_finds_its_own_patches_costs_nothing(pool, tokenizer, ids):
    """The where loss is 0 where each phrase lights up its own patches alone, and large where
    patches are shuffled.
    """
    options = Pretraining(batch=8)
    batch = make_batch(pool, tokenizer, options, np.random.default_rng(0), 256, "cpu")

    class Told(Learner):
        def words(self, tokens):
            return F.one_hot(torch.arange(len(tokens)), 192).float()

        def patches(self, images, kept):
            # damaged pictures have no phrases
            own = torch.gather(batch["phrase_of"], 1, owner).clamp(min=0)
            return (
                torch.ones(len(images), 192),
                [F.one_hot(own, 192).float()] * 4,
                torch.zeros(len(images), 256, 192),
            )

    model, owner = Told(ids), batch["owner"]
    model.region_scale.data.fill_(np.log(50))
    # nothing but rounding, on either side of 0
    assert -1e-6 < losses(model, batch, options)["where"] < 0.1
    owner = owner[:, torch.randperm(256, generator=torch.Generator().manual_seed(0))]
    assert losses(model, batch, options)["where"] > 1


def test_the_caption_to_refuse_differs_by_one_place(pool, tokenizer):
    batch = make_batch(pool, tokenizer, Pretraining(batch=32), np.random.default_rng(0), 32, "cpu")
    pairs = zip(batch["captions"][batch["misplaced_of"]], batch["misplaced"], strict=True)
    said = [(words_of(tokenizer, right), words_of(tokenizer, wrong)) for right, wrong in pairs]
    places = {word for place in factory.PLACES for word in place.split()}
    assert len(said) > 5 and all(right != wrong for right, wrong in said)
    for (
        right,
        wrong,
    ) in said:  # all else is worded alike (a long caption may be cut at another word)
        right, wrong = ([word for word in words if word not in places] for words in (right, wrong))
        assert right[: len(wrong)] == wrong[: len(right)]
    options = Pretraining(batch=32, wrong_places=False)
    none = make_batch(pool, tokenizer, options, np.random.default_rng(0), 32, "cpu")
    assert len(none["misplaced"]) == len(none["misplaced_of"]) == 0
    facts = {"things": [("red dot", "top"), ("hair", "left")]}
    for seed in range(20):
        moved = misplaced(facts, np.random.default_rng(seed))["things"]
        assert sum(a != b for a, b in zip(moved, facts["things"], strict=True)) == 1
        assert [thing for thing, _ in moved] == ["red dot", "hair"]
        assert {place for _, place in moved} <= {*factory.PLACES}


def test_a_batch_fits_its_pictures(pool, tokenizer):
    options = Pretraining(batch=16)
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    batch = make_batch(pool, tokenizer, options, rng, 112, "cpu")
    slots = pool.sample(options.batch, again)
    mirrored = again.random(len(slots)) < 0.5
    assert len(batch["images"]) == len(slots) and 0 < mirrored.sum() < len(slots)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in MEAN_STD["clip"])
    for b, slot in enumerate(slots):
        image = pool.images[slot][:, ::-1] if mirrored[b] else pool.images[slot]
        expected = (torch.tensor(image.copy()).permute(2, 0, 1) / 255 - mean) / std
        torch.testing.assert_close(batch["images"][b], expected)
        cover = pool.cover[slot].reshape(REGIONS, 16, 16)
        cover = (cover[..., ::-1] if mirrored[b] else cover).reshape(REGIONS, 256).astype(
            float
        ) / 255
        phrases = pool.phrases[slot]
        thing = np.array(
            [not p.startswith("the surface") and not p.endswith("background") for p in phrases]
        )
        kept, owner = batch["kept"][b].numpy(), batch["owner"][b].numpy()
        assert len(set(kept)) == 112 and (np.diff(kept) > 0).all()
        if thing.any():
            under = np.flatnonzero(cover[: len(phrases)][thing].max(0) > 0.3)
            assert set(under) <= set(kept)  # patches under a thing are always kept
            assert thing[owner[np.isin(kept, under)]].all()  # and belong to it
        rest = np.flatnonzero(cover.max(0) > 0.95)
        for patch in set(rest) & set(kept):
            assert owner[list(kept).index(patch)] == cover[:, patch].argmax()
        assert (batch["phrase_of"][b] >= 0).sum() == len(phrases)
    patches = F.unfold(batch["images"] * std + mean, 8, stride=8).transpose(1, 2)
    shown = torch.gather(patches, 1, batch["kept"][..., None].expand(-1, -1, 192))
    shown = (shown - shown.mean(-1, keepdim=True)) / (shown.std(-1, keepdim=True) + 0.03)
    torch.testing.assert_close(batch["pixels"], shown, rtol=1e-3, atol=1e-3)


def words_of(tokenizer, row):
    return tokenizer.decode([t for t in row.tolist() if t not in (0, 49406, 49407)]).split()


def test_damage_words_stand_in_captions_of_damaged_pictures_only(pool, tokenizer):
    said = {True: [], False: []}
    for seed in range(4):
        batch = make_batch(
            pool, tokenizer, Pretraining(batch=32), np.random.default_rng(seed), 32, "cpu"
        )
        slots = pool.sample(32, np.random.default_rng(seed))
        for slot, row in zip(slots, batch["captions"], strict=True):
            words = set(words_of(tokenizer, row))
            said[pool.facts[slot]["damaged"]].append(bool(words & set(DAMAGE_WORDS)))
        spoken = {word for row in batch["phrases"] for word in words_of(tokenizer, row)}
        assert not spoken & set(DAMAGE_WORDS)
    assert len(said[True]) > 5 and all(said[True]) and not any(said[False])


# ---- the drawing worker --------------------------------------------------------------------------


def test_no_damaged_picture_of_an_unseen_product_is_ever_drawn(quiet, monkeypatch):
    asked, bare = [], draw("candle", 0, 128)

    def spy(name, seed, size, defect, **options):
        asked.append((name, defect, options["split"]))
        return bare

    monkeypatch.setattr(factory, "draw", spy)
    InlinePool(Pretraining(pool=64, damage_share=1.0)).fill(250)
    unseen = {*names("val"), *names("test")}
    assert {name for name, *_ in asked} == set(PRODUCTS) and len(asked) == 2000
    assert all(defect is None for name, defect, _ in asked if name in unseen)
    assert {defect for name, defect, _ in asked if name not in unseen} == set(factory.LOCAL_DEFECTS)
    # never a picture of a training, validation or test set
    assert {split for *_, split in asked} == {"pretrain"}


def test_neutral_things_can_be_kept_off_unseen_products(quiet, monkeypatch):
    counts, bare = {}, draw("candle", 0, 128)

    def spy(name, seed, size, defect, things, **options):
        counts.setdefault(PRODUCTS[name].split in ("val", "test"), set()).add(len(things))
        return bare

    monkeypatch.setattr(factory, "draw", spy)
    InlinePool(Pretraining(pool=64, test_things=False)).fill(40)
    assert counts == {True: {0}, False: {0, 1, 2, 3}}


def test_hard_things_are_drawn_more_often(quiet, monkeypatch):
    drawn, bare = Counter(), draw("candle", 0, 128)

    def spy(name, seed, size, defect, things, **options):
        drawn.update(things)
        return bare

    monkeypatch.setattr(factory, "draw", spy)
    InlinePool(Pretraining(pool=64, hard_things=4.0)).fill(400)
    assert set(drawn) == set(factory.THINGS)
    hard, easy = (
        [drawn[t] for t in factory.THINGS if (t in HARD_THINGS) == is_hard] for is_hard in (1, 0)
    )
    assert 3 < np.mean(hard) / np.mean(easy) < 5


def test_a_defect_that_does_not_show_is_left_out(quiet, few, monkeypatch):
    def refuse(*args, **options):
        raise NotShown("not on this part")

    monkeypatch.setattr(factory, "draw", refuse)
    assert InlinePool(Pretraining(pool=64)).fill(3).drawn == 0


def test_the_pool_replaces_its_oldest_pictures(quiet, few):
    pool = InlinePool(Pretraining(pool=16)).fill(3)
    assert pool.drawn == 24 and sum(map(len, pool.by_class.values())) == 16
    for slot, facts in enumerate(pool.facts):
        assert [name for name, slots in pool.by_class.items() if slot in slots] == [
            facts["product"]
        ]
        # regions fill the picture
        assert (pool.cover[slot].astype(int).sum(0) >= 250).all() or facts["damaged"]
        assert len(pool.phrases[slot]) == (pool.cover[slot].max(1) > 0).sum()


def test_worker_processes_fill_the_pool():
    pool = Pool(Pretraining(pool=16))
    pool.order(16)
    while pool.coming:
        pool.collect(block=True)
    pool.close()
    assert 8 < pool.drawn <= 16 and (pool.images[: pool.drawn].std((1, 2, 3)) > 5).all()


# ---- what is written -----------------------------------------------------------------------------


@torch.no_grad()
def test_export_is_read_by_load_clip_and_equals_plain_open_clip(tokenizer, ids, tmp_path):
    model = learner(ids)
    run_module.export(model, tmp_path / "model")
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert json.loads((tmp_path / "model" / "config.json").read_text()) == MODEL
    assert (tmp_path / "model" / "model.safetensors").stat().st_size < 16e6
    read = load_clip(tmp_path / "model")
    plain = open_clip.CLIP(**MODEL).eval()
    state, _ = read_state(tmp_path / "model" / "model.safetensors")
    assert state["token_embedding.weight"].shape == (49408, MODEL["text_cfg"]["width"])
    plain.load_state_dict(state)
    images, texts = torch.randn(2, 3, 128, 128), ["a damaged bottle", "a photo of a green leaf."]
    tokens = tokenizer(texts)
    torch.testing.assert_close(
        read.encode_image(images), plain.encode_image(images), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        read.encode_text(texts), plain.encode_text(tokens), rtol=1e-4, atol=1e-4
    )
    cls = model.patches(images, torch.arange(256).expand(2, -1))[0]  # before it was rounded to fp16
    assert F.cosine_similarity(cls, plain.encode_image(images)).min() > 0.9999
    assert F.cosine_similarity(model.words(tokens), plain.encode_text(tokens)).min() > 0.9999


@pytest.fixture
def short(quiet, few, tmp_path, monkeypatch):
    """Options of a run of a second or two, with a pool that is full already."""
    pool = InlinePool(Pretraining(pool=64)).fill(6)
    monkeypatch.setattr(pool, "order", lambda pictures: None)
    monkeypatch.setattr(pool, "collect", lambda block=False: setattr(pool, "drawn", 2000))
    monkeypatch.setattr(pool, "close", lambda: None)
    monkeypatch.setattr(run_module, "Pool", lambda *args: pool)
    return {"out": str(tmp_path / "run"), "batch": 4, "keep": 32, "pool": 64, "warmup": 1}


def test_a_run_goes_on_where_it_stopped(short, tmp_path):
    options = short
    folder = run_module.run(Pretraining(minutes=0.02, **options))
    first = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert first["step"] >= 1 and first["seen"] == 4 * first["step"] and first["elapsed"] >= 1.2
    # 1.2 s more than were used, however slow the machine was
    run_module.run(Pretraining(minutes=first["elapsed"] / 60 + 0.02, lr=1e-4, **options))
    second = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert second["step"] > first["step"] and second["elapsed"] >= first["elapsed"] + 1.2
    weight = "clip.visual.proj"
    assert not torch.equal(first["model"][weight], second["model"][weight])
    told = json.loads((folder / "run.json").read_text())
    assert told["step"] == second["step"] and told["damage_share"] == 0.003
    assert [(leg["step"], leg["lr"]) for leg in told["legs"]] == [
        (0, 1.2e-3),
        (first["step"], 1e-4),
    ]
    assert folder == tmp_path / "run" / "model" and load_clip(folder).image_size == 128
    kept = {int(each.name) for each in (tmp_path / "run" / "checkpoints").iterdir()}
    assert {first["step"], second["step"]} <= kept and load_clip(
        tmp_path / "run" / "checkpoints" / str(first["step"])
    )


def test_a_run_may_start_from_a_finished_model(short, tmp_path):
    done = run_module.run(Pretraining(minutes=0.02, **short))
    told, before = json.loads((done / "run.json").read_text()), load_clip(done)
    again = short | {"out": str(tmp_path / "again"), "warm_start": str(done)}
    # one word that the model does not know yet
    words = [
        *vocabulary(blank_clip(MODEL)[1]),
        40_000,
    ]
    state = run_module.Run(Pretraining(minutes=1, **again), words)
    assert (state.step, state.seen, state.elapsed) == (told["step"], told["seen"], told["elapsed"])
    assert state.progress == 0 and [leg["step"] for leg in state.legs] == [0, told["step"]]
    tokens = blank_clip(MODEL)[1](["a red candle with a blue dot"])
    with torch.no_grad():  # bf16 and fp16 round differently
        mine = state.model.words(tokens)
        assert (
            F.cosine_similarity(mine, before.encode_text(["a red candle with a blue dot"])).min()
            > 0.999
        )
    assert state.model.region_scale.exp().item() == pytest.approx(told["region_scale"], rel=1e-3)
    folder = run_module.run(Pretraining(minutes=0.04, **again))
    written = (folder / "run.json").read_text()
    assert json.loads(written)["step"] > told["step"]
    assert (
        run_module.run(Pretraining(minutes=0.04, **again)) == folder
        and (folder / "run.json").read_text() == written
    )
    with pytest.raises(ValueError, match=r"--minutes 0\.01: the model has had 0\.\d already"):
        run_module.run(Pretraining(minutes=0.01, **again | {"out": str(tmp_path / "y")}))
    with pytest.raises(FileNotFoundError, match=r"no model.safetensors and no run.json there"):
        run_module.run(
            Pretraining(
                minutes=1, **again | {"out": str(tmp_path / "x"), "warm_start": str(tmp_path)}
            )
        )
