"""datasets.py: every real layout in miniature, every kind of fault, few-shot choices, the cache and
the batches.
"""

import json
import shutil
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from aaclip_lite import datasets
from aaclip_lite.datasets import DataError, open_dataset
from tests import layouts


def counted(data):
    labels = {
        name: [r.label for r in data.records if r.class_name == name] for name in data.classes
    }
    return {name: (found.count(0), found.count(1)) for name, found in labels.items()}


@pytest.fixture
def mvtec(tmp_path):
    layouts.write_mvtec(tmp_path / "mvtec")
    return tmp_path / "mvtec"


@pytest.fixture
def manifest(tmp_path):
    layouts.write_manifest(tmp_path / "set")
    return tmp_path / "set"


def rewrite(manifest, change):
    """Apply `change` to the list of manifest entries."""
    lines = [json.loads(line) for line in (manifest / "manifest.jsonl").read_text().splitlines()]
    change(lines)
    (manifest / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))


# Layouts.


@pytest.mark.parametrize("layout", layouts.WRITERS)
def test_each_real_layout_is_recognised_and_read(layout, tmp_path):
    expected = layouts.WRITERS[layout](tmp_path / "set")
    data = open_dataset(tmp_path / "set", size=16)
    assert (data.layout, counted(data)) == (layout, expected)
    assert layout in data.detected and "told from its files" in data.detected
    assert data.problems() == []
    named = open_dataset(tmp_path / "set", layout=layout)
    assert named.records == data.records and "as named" in named.detected
    for sample in map(data.__getitem__, range(len(data))):
        assert sample.image.shape == (16, 16, 3) and sample.image.dtype == np.uint8
        assert sample.mask.shape == (16, 16) and sample.mask.dtype == np.uint8
        assert set(np.unique(sample.mask)) == ({0, 1} if sample.label else {0})
        assert bool(sample.defect) == bool(sample.label)


@pytest.mark.parametrize(
    "split, normal, abnormal", [("train", 6, 0), ("test", 6, 8), ("all", 12, 8)]
)
def test_splits_of_mvtec(mvtec, split, normal, abnormal):
    labels = [record.label for record in open_dataset(mvtec, split=split).records]
    assert (labels.count(0), labels.count(1)) == (normal, abnormal)


def test_validation_splits(tmp_path):
    layouts.write_mvtec2(tmp_path / "ad2"), layouts.write_medical(tmp_path / "medical")
    assert counted(open_dataset(tmp_path / "ad2", split="val")) == dict.fromkeys(
        ("can", "vial"), (2, 0)
    )
    brain = open_dataset(tmp_path / "medical" / "Brain_AD", split="val")
    assert counted(brain) == {"Brain": (2, 2)}


@pytest.mark.parametrize(
    "writer, part, name",
    [("mvtec", "cable", "cable"), ("medical", "CVC-ClinicDB", "Colon_clinicDB")],
)
def test_one_class_of_a_set_can_be_opened_alone(writer, part, name, tmp_path):
    expected = layouts.WRITERS[writer](tmp_path)
    assert counted(open_dataset(tmp_path / part)) == {name: expected[name]}


def test_visa_means_raw_or_converted(tmp_path):
    layouts.write_visa_raw(tmp_path / "raw"), layouts.write_visa(tmp_path / "converted")
    assert open_dataset(tmp_path / "raw", layout="visa").layout == "visa_raw"
    assert open_dataset(tmp_path / "converted", layout="visa").layout == "visa"


def test_plain_folders_by_class_and_without_masks(tmp_path):
    for name in ("bolt", "nut"):
        layouts.write_folder(tmp_path / "two" / name)
    assert counted(open_dataset(tmp_path / "two")) == dict.fromkeys(("bolt", "nut"), (3, 4))
    layouts.write_folder(tmp_path / "one", masks=False)
    with pytest.raises(
        DataError,
        match=r"4 problem(.|\n)*dent/part0.png: abnormal, but without a mask.*image_level",
    ):
        open_dataset(tmp_path / "one")
    data = open_dataset(tmp_path / "one", image_level=True, class_name="bolt", size=8)
    assert counted(data) == {"bolt": (3, 4)} and data[0].mask is None
    assert "mask" not in next(data.batches(4)) and {r.defect for r in data.records} == {
        "",
        "dent",
        "scratch",
    }


def test_what_predict_drew_is_no_class_and_no_defect(tmp_path):
    for name in ("bolt", "nut"):
        layouts.write_folder(tmp_path / "two" / name)
    for place in ("two/marked", "two/bolt/marked", "two/bolt/good"):
        layouts.picture(tmp_path / place / "a.png.heat.png")
        (tmp_path / place / "verdicts.jsonl").write_text("{}\n")
    with pytest.warns(UserWarning, match=r"3 heat maps that predict drew are left out"):
        data = open_dataset(tmp_path / "two")
    assert counted(data) == dict.fromkeys(("bolt", "nut"), (3, 4))
    assert {record.defect for record in data.records} == {"", "dent", "scratch"}


def test_manifest_keeps_its_further_keys_and_may_lie_elsewhere(manifest, tmp_path):
    shutil.move(manifest / "manifest.jsonl", tmp_path / "full-shot.jsonl")
    data = open_dataset(tmp_path / "full-shot.jsonl", root=manifest, size=16)
    first, second = data.records[0], data.records[2]
    assert (first.defect, first.extra, second.defect) == ("glue strip", {"severity": 2}, "glue")
    assert data[0].inside.sum() > 0 and data[1].inside is None
    assert "inside" not in next(data.batches(2)) and next(data.batches(1))["inside"].shape == (
        1,
        1,
        16,
        16,
    )


def test_factory_names_reach_the_factory(manifest, tmp_path, monkeypatch):
    # the factory's name theirs
    rewrite(manifest, lambda lines: [line.update(split="test") for line in lines])
    asked = []
    factory = types.ModuleType("aaclip_lite.world.factory")
    groups = {"cup": "objects"}
    factory.open_set = lambda split, root: asked.append((split, root)) or (manifest, groups)
    monkeypatch.setitem(sys.modules, "aaclip_lite.world.factory", factory)
    opened = open_dataset("factory/val")
    assert (opened.layout, opened.groups) == ("factory", groups)
    assert len(open_dataset("test_hard", layout="factory", root=tmp_path)) == 12
    assert asked == [("val", None), ("test_hard", tmp_path)]
    monkeypatch.undo()
    with pytest.raises(ValueError, match="no factory data set 'exam'; there are train, val, test"):
        open_dataset("factory/exam")


def test_what_cannot_be_opened_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        open_dataset(tmp_path / "nowhere")
    layouts.picture(tmp_path / "odd" / "things" / "a.png")
    with pytest.raises(
        DataError, match=r"odd: cannot be told from its files; it holds things; name the layout"
    ):
        open_dataset(tmp_path / "odd")
    with pytest.raises(ValueError, match="layout='coco': choose one of mvtec2"):
        open_dataset(tmp_path / "odd", layout="coco")
    layouts.write_folder(tmp_path / "parts")
    with pytest.raises(ValueError, match="a folder is its own root"):
        open_dataset(tmp_path / "parts", root=tmp_path)
    with pytest.raises(DataError, match=r"class: any: no pictures .split 'train', layout 'folder'"):
        open_dataset(tmp_path / "parts", split="train")


# Faults.


def test_all_faults_are_listed_at_once_with_their_files(mvtec):
    test, truth = mvtec / "bottle" / "test", mvtec / "bottle" / "ground_truth"
    (truth / "crack" / "000_mask.png").unlink()
    layouts.mask(truth / "crack" / "001_mask.png", size=(20, 15))
    whole = (test / "poke" / "000.png").read_bytes()
    (test / "poke" / "000.png").write_bytes(whole[: len(whole) // 2])
    (test / "poke" / "001.png").write_text("not a picture")
    shutil.copy(test / "good" / "000.png", test / "good" / "003.png")
    shutil.copy(
        mvtec / "cable" / "train" / "good" / "000.png",
        mvtec / "cable" / "test" / "good" / "007.png",
    )
    (truth / "poke" / "000_mask.png").write_bytes(b"")
    layouts.mask(mvtec / "cable" / "ground_truth" / "crack" / "000.bmp")
    (mvtec / "capsule").mkdir()
    with pytest.raises(DataError) as caught:
        open_dataset(mvtec, layout="mvtec")
    expected = [
        "class: capsule: no pictures",
        "mask: cable/test/crack/000.png: several masks",
        "mask: bottle/test/crack/000.png: abnormal, but without a mask",
        "size: bottle/ground_truth/crack/001_mask.png: (20, 15), but its picture is (40, 30)",
        "image: bottle/test/poke/000.png: broken",
        "image: bottle/test/poke/001.png: not a readable picture",
        "mask: bottle/ground_truth/poke/000_mask.png: not a readable picture",
        "duplicate: bottle/test/good/000.png, bottle/test/good/003.png",
        "cable/test/good/007.png, ",
    ]
    assert len(caught.value.problems) == len(expected), caught.value
    for problem in expected:
        assert problem in str(caught.value)


def test_faults_of_a_manifest(manifest):
    def spoil(lines):
        lines[0]["image_path"] = "../elsewhere.png"
        lines[1]["image_path"] = "/etc/elsewhere.png"  # no such file is opened
        lines[2]["label"] = [1]
        del lines[3]["class_name"]
        lines[4]["mask_path"] = "grid/gone.png"
        del lines[5]["label"]

    rewrite(manifest, spoil)
    with open(manifest / "manifest.jsonl", "a") as file:
        file.write('\n{"image_path": \n[1, 2]\n')
    with pytest.raises(DataError) as caught:
        open_dataset(manifest)
    assert sorted(caught.value.problems) == sorted(
        [
            f"path: ../elsewhere.png: lies outside {manifest}",
            f"path: /etc/elsewhere.png: lies outside {manifest}",
            "label: grid/test/glue/001.png: unknown label (0 is normal, 1 abnormal)",
            "manifest: manifest.jsonl: line 4 is no JSON object with image_path and class_name",
            "manifest: manifest.jsonl: line 13 is no JSON object with image_path and class_name",
            "manifest: manifest.jsonl: line 14 is no JSON object with image_path and class_name",
            "mask: grid/gone.png: missing",
            "label: grid/test/good/002.png: unknown label (0 is normal, 1 abnormal)",
        ]
    )


def test_faults_of_visa_and_btad(tmp_path):
    layouts.write_visa_raw(tmp_path / "visa"), layouts.write_btad(tmp_path / "btad")
    shutil.rmtree(tmp_path / "visa" / "pcb1")
    with pytest.raises(
        DataError, match=r"1 problem(.|\n)*class: pcb1: in split_csv/1cls.csv, but there is no"
    ):
        open_dataset(tmp_path / "visa")
    assert open_dataset(tmp_path / "visa", allow=("class",)).classes == ["candle"]
    with open(tmp_path / "visa" / "split_csv" / "1cls.csv", "a") as table:
        table.write("candle,test\n")
    with pytest.raises(
        DataError, match=r"1 problem(.|\n)*1cls.csv: line 16 names no object or no image"
    ):
        open_dataset(tmp_path / "visa", allow=("class",))
    shutil.rmtree(tmp_path / "visa" / "split_csv")
    with pytest.raises(DataError, match=r"split_csv/1cls.csv: missing"):
        open_dataset(tmp_path / "visa")
    layouts.picture(tmp_path / "btad" / "01" / "test" / "maybe" / "0001.bmp")
    with pytest.raises(DataError, match=r"label: 01/test/maybe/0001.bmp: unknown label"):
        open_dataset(tmp_path / "btad")


def test_kinds_of_problems_can_be_tolerated(mvtec):
    shutil.copy(
        mvtec / "cable" / "test" / "good" / "000.png", mvtec / "cable" / "test" / "good" / "009.png"
    )
    with pytest.raises(
        DataError, match=r"can be tolerated: open_dataset\(..., allow=\(.*'duplicate'"
    ):
        open_dataset(mvtec)
    assert len(open_dataset(mvtec, allow=("duplicate",))) == 15
    # it would need an invented mask
    with pytest.raises(ValueError, match=r"allow=\['mask'\]: only class, content"):
        open_dataset(mvtec, allow=("duplicate", "mask"))


def test_only_what_can_be_tolerated_is_called_so(tmp_path):
    layouts.write_folder(tmp_path / "one", masks=False)
    with pytest.raises(DataError, match=r"Mend them\.$"):
        open_dataset(tmp_path / "one")
    shutil.copy(tmp_path / "one/good/part0.jpg", tmp_path / "one/good/again.jpg")
    tolerated = (
        r"Of these, duplicate can be tolerated: open_dataset\(..., allow=\('duplicate',\)\)$"
    )
    with pytest.raises(DataError, match=tolerated):
        open_dataset(tmp_path / "one")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "webp", "tiff"])
def test_a_file_that_breaks_off_is_found_at_opening_in_every_format(ending, tmp_path):
    good = layouts.picture(tmp_path / "good" / f"a.{ending}", size=(90, 70))
    layouts.picture(tmp_path / "good" / f"b.{ending}", size=(90, 70))
    assert len(open_dataset(tmp_path)) == 2
    good.write_bytes(good.read_bytes()[:-1500])
    with pytest.raises(DataError, match=f"1 problem(.|\n)*image: good/a.{ending}: broken"):
        open_dataset(tmp_path)


def test_check_decodes_and_finds_what_headers_hide(mvtec):
    broken = mvtec / "bottle" / "test" / "poke" / "000.png"
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 255  # the end of the file stays intact
    broken.write_bytes(content)
    layouts.mask(mvtec / "cable" / "ground_truth" / "crack" / "001_mask.png", value=0)
    data = open_dataset(mvtec, size=16)
    problems = data.problems()
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["image", "bottle/test/poke/000.png"],
        ["content", "cable/ground_truth/crack/001_mask.png"],
    ]
    with pytest.raises(DataError, match="2 problem"):
        data.problems(strict=True)
    index = [record.image for record in data.records].index("bottle/test/poke/000.png")
    with pytest.raises(DataError, match=r"poke/000.png: broken"):
        data[index]
    with pytest.raises(DataError):
        list(data.batches(4))
    tolerant = open_dataset(mvtec, size=16, allow=("content",))
    assert tolerant.problems() == problems[:1]
    index = [record.mask for record in data.records].index("cable/ground_truth/crack/001_mask.png")
    assert tolerant[index].label == 1 and not tolerant[index].mask.any()


def test_normal_picture_with_a_filled_mask_is_a_contradiction(manifest):
    def mark(lines):
        lines[1]["mask_path"] = lines[0]["mask_path"]
        lines[3]["mask_path"] = ""

    rewrite(manifest, mark)
    assert open_dataset(manifest).problems() == [
        "content: grid/ground_truth/glue/000_mask.png: not zero, but label 0"
    ]


def test_overlap_of_two_sets_is_byte_for_byte(mvtec, tmp_path):
    shutil.copytree(mvtec / "cable", tmp_path / "other" / "renamed")
    first, second = open_dataset(mvtec), open_dataset(tmp_path / "other")
    assert len(datasets.overlap(first, second)) == len(second) == 7
    assert datasets.overlap(first.filter(classes="bottle"), second) == []


# Pixels.


def test_resize_is_bicubic_for_pictures_and_nearest_for_masks(mvtec):
    fine = np.zeros((30, 40), np.uint8)
    fine[::2, ::3] = 255  # any averaging shows on single pixels
    for path in mvtec.glob("*/ground_truth/*/*.png"):
        Image.fromarray(fine).save(path)
    data = open_dataset(mvtec, size=24)
    index = next(i for i, record in enumerate(data.records) if record.label)
    record, sample = data.records[index], data[index]
    with Image.open(mvtec / record.image) as picture:
        expected = np.asarray(picture.convert("RGB").resize((24, 24), Image.Resampling.BICUBIC))
    with Image.open(mvtec / record.mask) as shape:
        expected_mask = np.asarray(shape.resize((24, 24), Image.Resampling.NEAREST)) > 0
    assert np.array_equal(sample.image, expected) and np.array_equal(sample.mask, expected_mask)
    assert open_dataset(mvtec)[index].image.shape == (30, 40, 3)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_any_non_zero_mask_value_is_defect_in_every_mode(mode, tmp_path):
    layouts.write_folder(tmp_path)
    path = tmp_path / "masks" / "dent" / "part0.png"
    flags = np.zeros((30, 40), np.uint16)
    flags[3, 4] = 1
    if mode == "I;16":
        Image.fromarray(flags).save(path)
    elif mode == "P":
        paletted = Image.fromarray(flags.astype(np.uint8))
        paletted.putpalette([0, 0, 0, 0, 0, 9])
        paletted.save(path)
    else:
        grey = Image.fromarray((flags * (255 if mode == "1" else 1)).astype(np.uint8))
        grey.convert(mode).save(path)
    data = open_dataset(tmp_path)
    sample = data[[record.mask for record in data.records].index("masks/dent/part0.png")]
    assert np.argwhere(sample.mask).tolist() == [[3, 4]]


def test_sixteen_bit_pictures_are_scaled_not_cut(tmp_path):
    layouts.picture(tmp_path / "good" / "b.png")
    Image.fromarray(np.full((5, 5), 257 * 100, np.uint16)).save(tmp_path / "good" / "a.png")
    assert (open_dataset(tmp_path)[0].image == 100).all()


def test_cache_keeps_to_its_budget_and_views_share_it(mvtec):
    data = open_dataset(mvtec, size=16, cache_bytes=5 * 16 * 16 * 3)
    data.problems()
    assert 0 < data.cache.used <= 5 * 16 * 16 * 3 and len(data.cache) < len(data)
    again = [data[i].image for i in range(len(data))]
    shutil.rmtree(mvtec / "bottle"), shutil.rmtree(mvtec / "cable")
    view = data.filter(classes="bottle")
    assert np.array_equal(view[0].image, again[0])  # from memory
    with pytest.raises(DataError, match="missing"):
        data[len(data) - 1]  # beyond the budget it is read again


def test_what_is_returned_can_be_changed_without_spoiling_the_cache(mvtec):
    data = open_dataset(mvtec, size=16)
    before = data[0].image.copy()
    data[0].image[:] = 0
    assert np.array_equal(data[0].image, before)


# Choices.


def test_few_shot_takes_half_normal_half_abnormal_of_every_class(mvtec):
    data = open_dataset(mvtec)
    chosen = data.few_shot(4, seed=1)
    assert counted(chosen) == dict.fromkeys(("bottle", "cable"), (2, 2))
    assert chosen.records == data.few_shot(4, seed=1).records
    assert any(chosen.records != data.few_shot(4, seed=other).records for other in range(2, 5))
    assert set(data.few_shot(2, seed=1).records) < set(chosen.records)
    alone = data.filter(classes=["cable"]).few_shot(4, seed=1)
    assert alone.records == chosen.filter(classes="cable").records


def test_few_shot_names_every_class_that_is_too_small(mvtec):
    data = open_dataset(mvtec)
    with pytest.raises(
        ValueError, match=r"8-shot needs 4 .*bottle has 3 normal, cable has 3 normal"
    ):
        data.few_shot(8)
    with pytest.raises(ValueError, match="even k"):
        data.few_shot(3)


def test_filter(mvtec):
    data = open_dataset(mvtec)
    assert counted(data.filter(classes="cable", labels=1)) == {"cable": (0, 4)}
    with pytest.raises(ValueError, match=r"no class pill .*there are: bottle, cable"):
        data.filter(classes=["pill", "cable"])


def test_fingerprint_follows_labels_names_and_sizes_and_not_the_place(manifest, tmp_path):
    shutil.copytree(manifest, tmp_path / "copy")
    before = open_dataset(manifest).fingerprint()
    assert len(before) == 16 and open_dataset(tmp_path / "copy", size=8).fingerprint() == before
    rewrite(tmp_path / "copy", lambda lines: lines.pop())
    assert open_dataset(tmp_path / "copy").fingerprint() != before
    layouts.picture(manifest / "grid" / "test" / "good" / "000.png", mode="L")
    assert open_dataset(manifest).fingerprint() != before


# Batches.


def test_batches_hold_every_picture_once_in_order(mvtec):
    data = open_dataset(mvtec, size=16)
    batches = list(data.batches(4))
    assert [index for batch in batches for index in batch["index"]] == list(range(14))
    assert [len(batch["label"]) for batch in batches] == [4, 4, 4, 2]
    batch = batches[0]
    assert batch["image"].shape == (4, 3, 16, 16) and batch["mask"].shape == (4, 1, 16, 16)
    assert (
        batch["image"].dtype == batch["mask"].dtype == torch.float32
        and batch["label"].dtype == torch.int64
    )
    assert set(batch) == {"image", "mask", "label", "class_name", "index"}
    for row, index in enumerate(batch["index"]):
        sample = data[index]
        assert torch.equal(batch["image"][row], torch.tensor(sample.image).permute(2, 0, 1) / 255)
        assert torch.equal(batch["mask"][row, 0], torch.tensor(sample.mask).float())
        assert (batch["label"][row].item(), batch["class_name"][row]) == (
            sample.label,
            sample.class_name,
        )


def same(first, second):
    return all(
        torch.equal(a[key], b[key])
        for a, b in zip(first, second, strict=True)
        for key in ("image", "mask")
    )


def test_batches_follow_from_seed_and_epoch_and_can_be_resumed(mvtec):
    data = open_dataset(mvtec, size=16, cache_bytes=0)
    options = {"shuffle": True, "seed": 3, "augment": "course"}
    first = list(data.batches(4, **options, epoch=1))
    assert same(first, list(data.batches(4, **options, epoch=1)))
    assert same(first[2:], list(data.batches(4, **options, epoch=1, start=2)))
    other = list(data.batches(4, **options, epoch=2))
    assert [b["index"] for b in first] != [b["index"] for b in other] and not same(first, other)
    assert sorted(index for batch in first for index in batch["index"]) == list(range(14))


def test_two_processes_share_the_batches_of_one(mvtec):
    data = open_dataset(mvtec, size=16)
    options = {"shuffle": True, "seed": 3, "augment": "released"}
    shares = [list(data.batches(4, **options, rank=rank, world=2)) for rank in (0, 1)]
    for whole, *parts in zip(data.batches(4, **options), *shares, strict=True):
        for rank, part in enumerate(parts):
            assert part["index"] == whole["index"][rank::2]
            assert torch.equal(part["image"], whole["image"][rank::2])


def test_batches_refuse_what_they_cannot_make(mvtec):
    data = open_dataset(mvtec)
    with pytest.raises(ValueError, match="oblong"):
        next(data.batches(2, augment="course"))
    layouts.picture(mvtec / "bottle" / "test" / "good" / "000.png", size=(12, 12))
    with pytest.raises(ValueError, match=r"size=\.\.\."):
        list(open_dataset(mvtec).batches(14))
    with pytest.raises(ValueError, match="no pictures to make a batch of"):
        data.view([]).batches(20)
    with pytest.raises(ValueError, match="must divide among 2"):
        data.batches(3, world=2)
    with pytest.raises(ValueError, match="augment='heavy': choose none, documented"):
        data.batches(2, augment="heavy")
