"""factory.py: a seed always gives the same picture, masks are what a defect changed, words and
regions fit; sets.
"""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import psutil
import pytest
from PIL import Image

from aaclip_lite.datasets import open_dataset
from aaclip_lite.world import class_folder, damage, defects, factory, parts, sets
from aaclip_lite.world import things as neutral
from aaclip_lite.world.factory import (
    LOCAL_DEFECTS,
    STRUCTURAL_DEFECTS,
    VISIBLE,
    NotShown,
    caption,
    draw,
)
from aaclip_lite.world.products import PRODUCTS, names
from tests.reference import make_factory_digest as reference

LOCAL = [
    "scratch",
    "crack",
    "hole",
    "stain",
    "dent",
    "cut",
    "colour_spot",
    "contamination",
    "thread",
]
STRUCTURAL = ["missing_part", "misplaced_part", "bent", "broken_edge"]
SOME = ("candle", "pcb2", "brick", "cookie", "hinge", "tweed", "bottle", "wood")


def defective(name, kind, severity=1, seed=0, size=128, **options):
    """The first seed from `seed` on that can show the defect."""
    for number in range(seed, seed + 40):
        try:
            return draw(name, number, size, kind, severity, **options), number
        except NotShown:
            continue
    raise AssertionError(f"{kind} could not be shown on {name} in 40 tries")


def change(picture, whole):
    """Largest change of a colour channel, 0 to 1."""
    return np.abs(picture.image.astype(int) - whole.image).max(-1) / 255


# ---- the same seed, the same picture -------------------------------------------------------------


def test_pictures_are_those_of_the_stored_world():
    stored = json.loads(reference.FILE.read_text())
    wrong = reference.differences(reference.digest(), stored)
    remedy = (
        "if that is meant: raise factory.WORLD, then python -m tests.reference.make_factory_digest"
    )
    assert not wrong, "\n".join([*wrong, remedy])


def test_the_digest_sees_what_it_must():
    stored = json.loads(reference.FILE.read_text())
    assert stored["pictures"].keys() >= set(PRODUCTS) and len(stored["masks"]) == len(
        LOCAL + STRUCTURAL
    )
    other = json.loads(reference.FILE.read_text())
    cells = [*bytes.fromhex(other["pictures"]["wood"])]
    cells[40] = (cells[40] + 128) % 256
    other["pictures"]["wood"] = bytes(cells).hex()
    other["masks"]["wood contamination"] += 0.01
    other["words"]["egg"][0] += "!"
    del other["pictures"]["egg"]
    found = [line.split(" ")[0] for line in reference.differences(stored, other)]
    assert found == ["mask", "picture", "pictures:", "words"]
    assert reference.differences(stored | {"world": "0"}, stored) == [
        f"WORLD is 0, stored is {stored['world']}: make the digest anew"
    ]


def test_nothing_but_the_arguments_decides():
    first = draw("cable", 3, 64, "stain", regions=True, things=2)
    np.random.default_rng(0).random(99)
    draw("wood", 8)
    again = draw("cable", 3, 64, "stain", regions=True, things=2)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert first.facts == again.facts
    assert [phrase for phrase, _ in first.regions] == [phrase for phrase, _ in again.regions]


def test_class_split_and_number_each_make_another_defect():
    """A seed that ignores the class would give all textures one and the same scratch."""
    centres = {}
    for name, split in (
        ("wood", "test"),
        ("tile", "test"),
        ("leather", "test"),
        ("wood", "val"),
        ("wood", "train"),
    ):
        for number in (0, 1):
            picture, found = defective(name, "hole", split=split, seed=10 * number)
            rows, columns = picture.mask.nonzero()
            centres[name, split, found] = (rows.mean(), columns.mean())
    assert len(centres) == 10
    places = np.array(list(centres.values()))
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)[
        ~np.eye(len(places), dtype=bool)
    ]
    assert apart.min() > 0.5 and np.median(apart) > 20


# ---- stations ------------------------------------------------------------------------------------

UNSEEN = names("val") + names("test")


def at_station(name, number, **options):
    return draw(name, number, 64, split="test", station=7, **options)


def apart(pictures):
    """Mean over pixels of the deviation between pictures, in grey levels."""
    return np.std([p.image.astype(float) for p in pictures], axis=0).mean()


@pytest.mark.parametrize("name", UNSEEN)
def test_a_stations_parts_share_colour_ground_and_words(name):
    """Colour histograms agree within a station far better than in the wild."""
    here = [at_station(name, i, things=0) for i in range(5)]
    wild = [draw(name, i, 64, split="test", things=0) for i in range(5)]
    assert len({(p.facts["colour"], p.facts["ground"]) for p in here}) == 1
    means = [np.std([p.image.mean((0, 1)) for p in group], axis=0).mean() for group in (here, wild)]
    assert means[0] < 0.35 * means[1]
    assert len({p.image.tobytes() for p in here}) == 5  # no picture twice


def test_rigid_products_hardly_move_and_their_print_stays():
    for name in ("transistor", "capsule", "zipper", "hinge"):
        here, wild = (
            [draw(name, i, 64, split="test", things=0, station=s) for i in range(6)]
            for s in (7, None)
        )
        assert apart(here) < 0.6 * apart(wild), name


def test_grain_differs_from_part_to_part_where_nature_makes_it():
    """Not one board photographed from several places: no shift makes two parts equal."""
    for name in ("wood", "leather", "tile", "carpet", "terrazzo"):
        one, two = (at_station(name, i, things=0).image.mean(-1) for i in (0, 1))
        spectrum = np.fft.fft2(one - one.mean()) * np.conj(np.fft.fft2(two - two.mean()))
        agreement = np.fft.ifft2(spectrum).real.max() / (one.size * one.std() * two.std())
        assert agreement < 0.75, (name, agreement)


def test_the_lamp_stands_still_while_the_bottle_turns(monkeypatch):
    seen = []
    monkeypatch.setattr(parts.Canvas, "place", lambda self, *_: seen.append(self.turned))
    for number in range(2):
        parts.part_of("bottle", "test", number, 7).paint(64)
    parts.part_of("bottle", "test", 0, None).paint(64)
    assert seen[0] != seen[1] and seen[2] == 0


def test_at_most_five_percent_of_a_stations_parts_bear_a_thing():
    for name in ("bottle", "wood"):
        bearing = [bool(at_station(name, i).facts["things"]) for i in range(100)]
        assert sum(bearing) == 4


def test_stations_differ_and_their_defects_are_exact():
    designs = [draw("cable", 0, 64, split="test", station=s, things=0) for s in range(4)]
    assert apart(designs) > 2 * apart([at_station("cable", i, things=0) for i in range(4)])
    picture = draw("hinge", 11, 128, "hole", 2, split="val", station=1)
    whole = draw("hinge", 11, 128, split="val", station=1)
    moved, mask = change(picture, whole), picture.mask > 0
    assert moved[mask].mean() >= 0.95 * VISIBLE and mask[moved > 0.05].mean() > 0.9
    again = draw("hinge", 11, 128, "hole", 2, split="val", station=1)
    np.testing.assert_array_equal(picture.image, again.image)


# ---- defects -------------------------------------------------------------------------------------


def test_kinds_of_defects():
    assert set(LOCAL_DEFECTS) == set(LOCAL) and set(STRUCTURAL_DEFECTS) == set(STRUCTURAL)
    for name, item in PRODUCTS.items():
        assert set(LOCAL_DEFECTS) - set(factory.kinds_for(name)) <= {"crack", "dent"}
        assert factory.kinds_for(name, structural=True) == (
            () if item.texture else STRUCTURAL_DEFECTS
        )
    spared = {
        name: set(LOCAL) - set(factory.kinds_for(name))
        for name in ("denim", "tile", "pcb1", "hinge", "wood")
    }
    assert spared == {
        "denim": {"crack", "dent"},
        "tile": {"dent"},
        "pcb1": {"dent"},
        "hinge": set(),
        "wood": set(),
    }
    assert {*defects.SOFT, *defects.BRITTLE} <= {item.material for item in PRODUCTS.values()}


@pytest.mark.parametrize("kind", LOCAL + STRUCTURAL)
def test_a_mask_is_what_changed_and_can_be_seen(kind):
    for name in (n for n in SOME if kind in LOCAL or not PRODUCTS[n].texture):
        picture, seed = defective(name, kind, severity=0)
        whole = draw(name, seed, things=0 if kind in STRUCTURAL else None)
        moved, mask = change(picture, whole), picture.mask > 0
        case = f"{kind} on {name}, seed {seed}"
        # the floor, less what rounding to bytes may take
        assert moved[mask].mean() >= 0.95 * VISIBLE, case
        assert (moved[mask] > 0.03).mean() > 0.6, case  # not a generous outline
        strong = moved > 0.05
        assert mask[strong].mean() > 0.9, case  # hardly anything that changed is left out
        assert 0.003 <= mask.mean() <= (0.2 if kind in LOCAL else 0.3), case
        assert picture.mask.dtype == np.uint8 and set(np.unique(picture.mask)) == {0, 1}
        np.testing.assert_array_equal(picture.inside, whole.inside)  # the object is where it was
        assert picture.defect == kind and picture.facts["damaged"] and not whole.facts["damaged"]


@pytest.mark.parametrize("kind", LOCAL)
def test_local_defects_lie_on_the_product(kind):
    on_it = []
    for name in ("candle", "cookie", "hinge", "bottle", "screw"):
        picture, _ = defective(name, kind, seed=20)
        on_it.append((picture.mask & picture.inside).sum() / picture.mask.sum())
    # a thread hangs over the rim
    assert min(on_it) > 0.3 and np.mean(on_it) > (0.55 if kind == "thread" else 0.8)


def test_severities_grow():
    sizes = np.zeros((len(LOCAL), 3))
    for row, kind in enumerate(LOCAL):
        for severity in range(3):
            masks = [defective(name, kind, severity, size=64)[0].mask.mean() for name in SOME[1:6]]
            sizes[row, severity] = np.mean(masks)
    slight, medium, severe = sizes.mean(0)
    assert slight * 1.15 < medium and medium * 1.15 < severe
    assert (sizes[:, 2] > sizes[:, 0]).all(), dict(zip(LOCAL, sizes.round(4).tolist(), strict=True))


def test_holes_in_a_change_belong_to_a_dent_but_not_to_a_missing_ring():
    before, after = np.zeros((2, 64, 64, 3))
    after[20:40, 20:40] = 0.5
    after[25:35, 25:35] = 0
    filled, ring = (damage.mask_of(before, after, filled=f)[0] for f in (True, False))
    assert filled[30, 30] and not ring[30, 30] and ring[22, 22]


def test_a_mask_closes_gaps_drops_specks_and_reaches_the_border():
    before, after = np.zeros((2, 64, 64, 3))
    after[0:10, 0:20, 1] = 0.5  # one channel is enough
    after[:, 9] = 0
    after[50, 50] = 0.5
    after[60:, 60:] = factory.CHANGED * 0.9
    mask, strength = damage.mask_of(before, after)
    assert mask[1:9, :20].all() and mask[0, 0] and 196 <= mask.sum() <= 200
    assert strength == pytest.approx(0.5 * 190 / mask.sum())
    assert damage.mask_of(before, before) == (pytest.approx(np.zeros((64, 64))), 0.0)


def test_masks_scale_with_the_picture():
    for kind in ("hole", "stain", "cut"):
        small, large = (defective("cookie", kind, size=size)[0].mask.mean() for size in (64, 256))
        assert 0.4 < small / large < 2.5


def test_errors_name_the_value_and_the_remedy():
    for arguments, message in (
        (("bottel", 0), "no product 'bottel'; the factory makes: candle, "),
        (("bottle", 0, 128, "rust"), "no defect 'rust'; known: scratch, crack"),
        (("bottle", 0, 63), "size=63: the factory draws from 64 to 512"),
        (("bottle", 0, 513), "size=513"),
        (("bottle", 0, 128, "hole", 3), "severity=3: 0 is slight"),
    ):
        with pytest.raises(ValueError, match=message):
            draw(*arguments)
    with pytest.raises(
        NotShown, match=r"missing_part can't be shown on this wood \(seed 4\); try another seed"
    ):
        draw("wood", 4, 64, "missing_part")
    assert issubclass(NotShown, ValueError)


# ---- words and regions ---------------------------------------------------------------------------


def test_captions_say_what_is_there_in_many_ways():
    facts = draw("metal_nut", 5, things=2).facts
    said = [caption(facts, np.random.default_rng(i)) for i in range(300)]
    assert len(set(said)) > 150
    for text in said:
        assert "metal nut" in text and not {"damaged", "broken", "defective"} & set(text.split())
    for words in (
        facts["colour"],
        facts["material"],
        facts["pose"],
        facts["ground"],
        *(p for p, _ in facts["things"]),
    ):
        share = np.mean([words in text for text in said])
        assert 0.1 < share <= 1.0, words
    assert len(facts["things"]) == 2
    assert "broken metal nut" in caption(facts, np.random.default_rng(0), damage_word="broken")


def test_a_mirrored_picture_swaps_left_and_right_only():
    facts = draw("bottle", 0, things=1).facts
    for where, other in (
        ("top left", "top right"),
        ("right", "left"),
        ("middle", "middle"),
        ("bottom", "bottom"),
    ):
        facts["things"] = [("red dot", where)]
        pairs = [
            [caption(facts, np.random.default_rng(i), m) for m in (False, True)] for i in range(60)
        ]
        placed = [(a, b) for a, b in pairs if f"the {where}" in a]
        assert len(placed) > 15
        assert all(b == a.replace(where, other) for a, b in placed)


def test_places_have_names():
    assert [neutral.place_name(x, -0.9) for x in (-0.9, 0, 0.9)] == ["top left", "top", "top right"]
    assert [neutral.place_name(x, 0.1) for x in (-1, 0.2, 1)] == ["left", "middle", "right"]
    assert neutral.place_name(0, 1) == "bottom"


def test_regions_cover_the_picture_once_and_name_it():
    for name in ("capsules", "bottle", "wood", "grid", "screw", "keypad"):
        for seed in range(4):
            picture = draw(name, seed, 128, things=seed, regions=True)
            count = np.sum([mask for _, mask in picture.regions], axis=0)
            assert (count == 1).all(), name
            *things, last = [phrase for phrase, _ in picture.regions]
            spoken = PRODUCTS[name].spoken
            if PRODUCTS[name].texture:
                assert last == f"the surface of a {spoken}" and picture.facts["ground"] is None
            else:
                assert (
                    last == f"{picture.facts['ground']} background"
                    and things.pop() == f"the surface of a {spoken}"
                )
            assert len(things) <= seed and set(things) <= {
                phrase for phrase, _ in picture.facts["things"]
            }
            assert len(picture.facts["things"]) == seed
    assert draw("wood", 0, 64, things=2).regions == []


def test_a_thing_is_where_its_region_says():
    """The picture changes there far more than elsewhere (light and shadow aside), and its place has
    the right name.
    """
    for name in ("tile", "metal_plate", "egg"):
        for seed in range(6):
            bare, marked = (
                draw(name, seed, things=n, regions=True, split="things") for n in (0, 1)
            )
            (_, where), mask = marked.facts["things"][0], marked.regions[0][1]
            moved = change(marked, bare)
            assert moved[mask].mean() > max(0.03, 50 * moved[~mask].mean()), (
                name,
                seed,
                marked.facts["things"],
            )
            rows, columns = mask.nonzero()
            x, y = (columns.mean() + 0.5) / 64 - 1, (rows.mean() + 0.5) / 64 - 1
            near = (-0.3, 0, 0.3)  # an arc's middle lies beside its centre
            nearby = {neutral.place_name(x + dx, y + dy) for dx in near for dy in near}
            assert where in nearby


def test_every_thing_can_be_drawn():
    found = Counter()
    for seed in range(120):
        picture = draw("tile", seed, 64, things=3, regions=True)
        found.update(phrase for phrase, _ in picture.regions[:-1])
    for thing in factory.THINGS:
        assert any(thing.format(colour) in found for colour in factory.THING_COLOURS), thing
    assert set(neutral.PRINTS) <= set(factory.THINGS)


def test_things_can_be_named():
    picture = draw("tile", 3, things=("metal screw", "{} dot"), regions=True)
    (first, _), (second, _) = picture.facts["things"]
    assert first == "metal screw" and second.endswith(" dot")
    with pytest.raises(ValueError, match=r"no neutral thing moss; known: \{\} dot, "):
        draw("tile", 3, things=("moss",))


def test_prints_lie_on_normal_and_on_defective_parts_alike():
    """Otherwise a print would give a normal picture away."""
    normal = [bool(draw("cookie", seed, 64).facts["things"]) for seed in range(60)]
    damaged = [
        bool(defective("cookie", "stain", seed=seed, size=64)[0].facts["things"])
        for seed in range(60)
    ]
    assert 0.1 < np.mean(normal) < 0.45 and 0.1 < np.mean(damaged) < 0.45


# ---- data sets on disk ---------------------------------------------------------------------------

SMALL = {split: (1, 2, 9) for split in factory.SPLITS}  # pictures of a class


def shrink(monkeypatch, classes, counts=SMALL):
    monkeypatch.setattr(sets, "COUNTS", counts)
    monkeypatch.setattr(sets, "jobs", lambda split: classes)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A validation set of two classes, drawn by two processes as at any first use."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink(monkeypatch, ["hinge", "tweed"])
        return factory.ensure(
            "val", tmp_path_factory.mktemp("drawn"), size=64, workers=2, progress=False
        )


@pytest.fixture
def copy(drawn, tmp_path, monkeypatch):
    """The same set in a folder of its own."""
    shrink(monkeypatch, ["hinge", "tweed"])
    shutil.copytree(drawn, tmp_path / "val")
    return tmp_path / "val"


def everything(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def manifest(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_what_is_drawn_by_default():
    assert factory.jobs("train") == names("train") and factory.jobs("val") == names("val")
    assert factory.jobs("test") == names("test")
    assert factory.jobs("test_hard") == [n for n in names("test") if not PRODUCTS[n].texture]
    for split in ("val", "test"):  # the same products wild and at their stations
        assert factory.jobs(f"{split}_wild") == factory.jobs(split)
        assert factory.PLANS[split].station is not None
        assert factory.PLANS[f"{split}_wild"].station is None
    assert all(
        counts[2] % len(LOCAL) == 0
        for split, counts in factory.COUNTS.items()
        if split != "test_hard"
    )


def test_a_set_has_mvtecs_layout_and_a_manifest(drawn):
    assert drawn.name == "val" and len(manifest(drawn)) == 2 * (1 + 2 + 9)
    by_class = defaultdict(list)
    for line in manifest(drawn):
        by_class[line["class_name"]].append(line)
        keys = {
            "image_path",
            "label",
            "class_name",
            "mask_path",
            "inside_path",
            "defect",
            "severity",
            "split",
        }
        assert line.keys() == keys
        name, split, kind, number = line["image_path"].removesuffix(".png").split("/")
        assert (name, split, kind) == (line["class_name"], line["split"], line["defect"])
        assert line["label"] == (kind != "good") and split in ("train", "test")
        assert line["mask_path"] == (
            f"{name}/ground_truth/{kind}/{number}_mask.png" if line["label"] else ""
        )
        image, inside = (
            np.asarray(Image.open(drawn / line[key])) for key in ("image_path", "inside_path")
        )
        assert image.shape == (64, 64, 3) and set(np.unique(inside)) <= {0, 255}
        if line["label"]:
            assert set(np.unique(np.asarray(Image.open(drawn / line["mask_path"])))) == {0, 255}
    for name, mine in by_class.items():
        assert Counter(line["split"] for line in mine) == {"train": 1, "test": 11}
        assert {line["defect"] for line in mine} == {"good", *factory.kinds_for(name)}
        assert not [line for line in mine if line["split"] == "train" and line["label"]]
        assert len({(drawn / line["image_path"]).read_bytes() for line in mine}) == 12, name
    assert not list(drawn.glob(".*")), "temporary files are left"


def test_open_dataset_finds_nothing_wrong_with_it(drawn, monkeypatch):
    shrink(monkeypatch, ["hinge", "tweed"])
    key = sets.world_key("val", 64)
    monkeypatch.setattr(sets, "world_key", lambda split, size: key)
    monkeypatch.setattr(sets, "_draw_set", None)
    data = open_dataset("factory/val", root=drawn.parent)
    assert len(data) == 22 and data.classes == ["hinge", "tweed"] and data.problems() == []


def test_the_hard_set_holds_structural_defects(tmp_path):
    class_folder.draw_class("test_hard", "capsule", tmp_path, 64, (0, 2, 8))
    kinds = Counter(line["defect"] for line in manifest(tmp_path / "capsule"))
    assert set(kinds) == {"good", *STRUCTURAL} and kinds["good"] == 2


def test_a_drawn_set_is_found_again(copy, monkeypatch):
    before = everything(copy)
    monkeypatch.setattr(sets.subprocess, "Popen", None)  # nothing may be drawn now
    assert factory.ensure("val", copy.parent, size=64) == copy and everything(copy) == before


def test_another_world_is_drawn_anew(copy, monkeypatch):
    shrink(monkeypatch, ["tweed"], {"val": (0, 1, 1)})
    other = replace(factory.PLANS["val"], world="another")
    monkeypatch.setitem(factory.PLANS, "val", other)
    factory.ensure("val", copy.parent, size=64, progress=False)
    assert sorted(path.name for path in copy.iterdir()) == ["manifest.jsonl", "tweed", "world.json"]


def interrupt(folder, name):
    """What is left when drawing is killed in the class `name`."""
    (folder / "manifest.jsonl").unlink()
    (folder / name / "manifest.jsonl").unlink()
    for path in (folder / name / "test" / "good").iterdir():
        path.write_bytes(b"half")


def test_an_interrupted_drawing_goes_on_and_ends_the_same(copy):
    whole = everything(copy)
    interrupt(copy, "tweed")
    kept = (copy / "hinge" / "manifest.jsonl").stat().st_mtime_ns
    assert (
        everything(factory.ensure("val", copy.parent, size=64, workers=1, progress=False)) == whole
    )
    assert (copy / "hinge" / "manifest.jsonl").stat().st_mtime_ns == kept  # not drawn again


def test_two_callers_at_once_draw_once(copy, monkeypatch):
    interrupt(copy, "tweed")
    calls, draw_set = [], sets._draw_set
    monkeypatch.setattr(sets, "_draw_set", lambda *args: calls.append(args) or draw_set(*args))
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(factory.ensure, "val", copy.parent, 64, 1, False) for _ in range(2)]
        assert [job.result() for job in jobs] == [copy, copy]
    assert len(calls) == 1


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "thesis.txt").write_text("mine")
    with pytest.raises(
        FileExistsError,
        match="val holds files that are not a factory data set; choose another folder",
    ):
        factory.ensure("val", tmp_path, size=64, progress=False)
    assert everything(tmp_path / "val") == {"thesis.txt": b"mine"}
    with pytest.raises(
        ValueError, match="no factory data set 'exam'; there are train, val, test, val_wild, "
    ):
        factory.ensure("exam", tmp_path)


def test_a_worker_that_fails_says_why(tmp_path, monkeypatch):
    shrink(monkeypatch, ["no_such_product"])
    with pytest.raises(
        RuntimeError,
        match=r"drawing val in .* failed: .*no_such_product.*the same call again goes on",
    ):
        factory.ensure("val", tmp_path, size=64, workers=2, progress=False)
    assert not (tmp_path / "val" / "manifest.jsonl").exists()


# ---- nothing is lost, and complete means complete ------------------------------------------------

PARENT = """
import sys
from aaclip_lite.world import sets
sets.COUNTS = {"val": (1, 14, 9)}
sets.jobs = lambda split: ["hinge", "tweed", "biscuit"]
sets.ensure("val", sys.argv[1], size=64, workers=2, progress=False)
print("drawn")
"""


def start_drawing(root):
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(root)], stdout=subprocess.PIPE, text=True
    )


def wait_until(true, seconds=30):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def workers_of(pid):
    return psutil.Process(pid).children(recursive=True)


def unlisted(folder):
    """Files that the manifest names and the folder lacks."""
    return [
        line[key]
        for line in manifest(folder)
        for key in ("image_path", "mask_path", "inside_path")
        if line[key] and not (folder / line[key]).is_file()
    ]


def test_workers_end_with_a_killed_parent_and_the_next_run_is_whole(tmp_path):
    parent = start_drawing(tmp_path)
    wait_until(lambda: len(list((tmp_path / "val").rglob("*.png"))) > 3)
    workers = workers_of(parent.pid)
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=5)
    assert not alive
    again = start_drawing(tmp_path)
    assert again.communicate(timeout=60)[0] == "drawn\n" and again.returncode == 0
    assert len(manifest(tmp_path / "val")) == 3 * 24 and unlisted(tmp_path / "val") == []


def test_a_removed_folder_is_not_made_again(tmp_path):
    """A worker whose folder goes away ends with an error; it leaves nothing behind."""
    (tmp_path / "val").mkdir()
    seen = []

    def remove(name, index, *args, **options):
        picture = draw(name, index, *args, **options)
        seen.append(index)
        if len(seen) == 3:
            shutil.rmtree(tmp_path / "val")
        return picture

    with pytest.MonkeyPatch.context() as monkeypatch, pytest.raises(FileNotFoundError):
        monkeypatch.setattr(class_folder, "draw", remove)
        class_folder.draw_class("val", "hinge", tmp_path / "val", 64, (1, 9, 9))
    assert len(seen) == 3 and not (tmp_path / "val").exists()


@pytest.mark.parametrize("gone", ["hinge/test/hole/000.png", "tweed/inside/test_good/001.png"])
def test_a_set_that_lacks_a_file_is_repaired(copy, gone):
    whole = everything(copy)
    (copy / gone).unlink()
    kept = {
        name: (copy / name / "manifest.jsonl").stat().st_mtime_ns for name in ("hinge", "tweed")
    }
    factory.ensure("val", copy.parent, size=64, workers=1, progress=False)
    assert everything(copy) == whole
    other = "tweed" if gone.startswith("hinge") else "hinge"
    assert (copy / other / "manifest.jsonl").stat().st_mtime_ns == kept[other]


def test_files_are_counted_before_a_set_is_called_complete(copy, monkeypatch):
    interrupt(copy, "tweed")
    watch = sets._watch

    def lose(running, split, folder, progress):
        watch(running, split, folder, progress)
        (folder / "hinge" / "test" / "good" / "000.png").unlink()

    monkeypatch.setattr(sets, "_watch", lose)
    with pytest.raises(RuntimeError, match="files of hinge have gone meanwhile; the same call"):
        factory.ensure("val", copy.parent, size=64, workers=1, progress=False)
    assert not (copy / "manifest.jsonl").exists()
    monkeypatch.setattr(sets, "_watch", watch)
    factory.ensure("val", copy.parent, size=64, workers=1, progress=False)
    assert unlisted(copy) == [] and (copy / "manifest.jsonl").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": 63}, "size=63: the factory draws from 64 to 512 pixels"),
        ({"size": 64.5}, "size=64.5"),
        ({"size": 64, "workers": 0}, "workers=0: at least 1 process draws"),
        ({"size": 72, "workers": -1}, "workers=-1"),
    ],
)
def test_bad_options_are_refused_before_anything_is_removed(copy, options, message):
    before = everything(copy)
    with pytest.raises(ValueError, match=message):
        factory.ensure("val", copy.parent, progress=False, **options)
    assert everything(copy) == before


def test_only_the_factorys_own_files_are_removed(copy, monkeypatch):
    shrink(monkeypatch, ["tweed"], {"val": (0, 1, 1)})
    mine = ["notes.txt", "hinge/test/good/mine.png", "tweed/labels.csv", ".my-list/a.txt"]
    for path in mine:
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_bytes(b"mine")
    factory.ensure("val", copy.parent, size=72, workers=1, progress=False)
    left = everything(copy)
    assert {path for path in left if left[path] == b"mine"} == set(mine)
    drawn = {path for path in left if path.endswith(".png")} - set(mine)
    assert len(drawn) == 2 + 3 and unlisted(copy) == []
