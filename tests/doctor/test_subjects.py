"""What the doctor command finds at a path."""

import pytest

from aaclip_lite.doctor.subjects import subjects

FOLDERS = {
    ("text.safetensors", "image.safetensors", "image.resume", "image.jsonl"): [
        ("checkpoint", "image.safetensors"),
        ("checkpoint", "text.safetensors"),
        ("checkpoint", "image.resume"),
        ("log", "."),
    ],
    # the public code's folder: the last files only, not one an epoch
    ("text_adapter.pth", "image_adapter.pth", "image_adapter_3.pth", "train.log"): [
        ("checkpoint", "text_adapter.pth"),
        ("checkpoint", "image_adapter.pth"),
        ("log", "."),
    ],
    ("manifest.jsonl", "a.png"): [("dataset", ".")],
}


@pytest.mark.parametrize("names", FOLDERS)
def test_a_folder(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    expected = [(kind, tmp_path / name) for kind, name in FOLDERS[names]]
    assert subjects(tmp_path) == expected


@pytest.mark.parametrize(
    "name, kind",
    [
        ("a.pth", "checkpoint"),
        ("a.resume", "checkpoint"),
        ("train.log", "log"),
        ("text.jsonl", "log"),
        ("manifest.jsonl", "dataset"),
    ],
)
def test_a_file(tmp_path, name, kind):
    path = tmp_path / name
    path.touch()
    assert subjects(str(path)) == [(kind, path)]


def test_a_manifest_under_any_name_is_a_data_set(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"image_path": "a.png", "label": 0, "class_name": "bolt"}\n')
    assert subjects(path) == [("dataset", path)]


def test_what_is_not_there_is_left_to_the_one_who_opens_it(tmp_path):
    assert subjects(tmp_path / "gone.pth") == [("checkpoint", tmp_path / "gone.pth")]
    assert subjects("factory/train")[0][0] == "dataset"
