"""Where files lie, and that each check of the machine can fail with a remedy."""

import re
import shutil

import pytest
import torch

from aaclip_lite.files import environment


def test_shipped_data_lies_in_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    (tmp_path / "data" / "lite_clip").mkdir(parents=True)
    assert environment.data_path("lite_clip") == tmp_path / "data" / "lite_clip"


def test_shipped_data_lies_in_the_package_when_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CHECKOUT", None)
    monkeypatch.setattr(environment, "PACKAGE", tmp_path)
    (tmp_path / "_data" / "lite_clip").mkdir(parents=True)
    assert environment.data_path("lite_clip") == tmp_path / "_data" / "lite_clip"


def test_missing_data_names_the_path_and_the_remedy():
    with pytest.raises(FileNotFoundError, match=r"no_such_data is missing.*Remedy: "):
        environment.data_path("no_such_data")


def test_drawn_data_lies_in_the_checkout_the_cache_or_where_told(tmp_path, monkeypatch):
    monkeypatch.delenv("AACLIP_LITE_CACHE", raising=False)
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    assert environment.generated_path("factory") == tmp_path / "data" / "factory"
    monkeypatch.setattr(environment, "CHECKOUT", None)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert environment.generated_path("factory") == tmp_path / ".cache" / "aaclip_lite" / "factory"
    monkeypatch.setenv("AACLIP_LITE_CACHE", str(tmp_path / "mine"))
    assert environment.generated_path("factory") == tmp_path / "mine" / "factory"


def test_packages_missing_or_out_of_range_are_all_named(monkeypatch):
    lines = ["pytest>=1", "pytest>=999", "no-such-package>=1", "other-tool>=1; extra == 'dev'"]
    monkeypatch.setattr(environment.metadata, "requires", lambda name: lines)
    with pytest.raises(environment.CheckFailed) as failure:
        environment.check_packages()
    assert re.fullmatch(
        r"pytest \S+ is not >=999, no-such-package is missing", failure.value.args[0]
    )
    monkeypatch.setattr(environment.metadata, "requires", lambda name: lines[:1])
    assert environment.check_packages() == "1 as asked for"


def test_a_broken_pair_of_torch_and_torchvision_is_told(monkeypatch):
    def broken(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(environment, "import_module", broken)
    with pytest.raises(environment.CheckFailed, match="nms does not exist"):
        environment.check_torch()


def test_weights_must_be_there(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "CHECKOUT", tmp_path)
    folder = tmp_path / "data" / "lite_clip"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").touch()
    with pytest.raises(environment.CheckFailed, match="holds no weights"):
        environment.check_model()
    (folder / "model.safetensors").write_bytes(b"x" * 200_000)
    assert environment.check_model() == "0.2 MB in lite_clip"


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("AACLIP_LITE_CACHE", str(tmp_path / "not" / "yet"))
    assert environment.check_room().endswith("GB free")
    monkeypatch.setattr(environment, "FREE_GB", 10**9)
    with pytest.raises(environment.CheckFailed, match="GB free"):
        environment.check_room()


def test_the_report_is_one_line_a_check(monkeypatch, capsys):
    def check_good():
        return "fine"

    def check_bad():
        raise environment.CheckFailed("it is broken", "mend it")

    monkeypatch.setattr(environment, "CHECKS", (check_good,))
    assert environment.report() is True
    monkeypatch.setattr(environment, "CHECKS", (check_bad, check_good))
    assert environment.report() is False
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=2) for line in lines] == [
        ["ok", "good", "fine"],
        ["FAIL", "bad", "it is broken. Remedy: mend it"],
        ["ok", "good", "fine"],
    ]


# ---- lite or full --------------------------------------------------------------------------------


@pytest.fixture
def real(tmp_path, monkeypatch):
    """A folder with real weights and data, and a card that torch believes in."""
    for name in ("weights", "visa", "mvtec"):
        (tmp_path / name).mkdir()
    (tmp_path / "weights" / "ViT-L-14-336px.pt").touch()
    monkeypatch.setenv("AACLIP_LITE_REAL", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    return tmp_path


def test_full_scale_where_everything_is_there(real):
    scale = environment.choose_scale()
    assert (scale.name, scale.device) == ("full", "cuda") and "a card" in scale.why
    weights = real / "weights" / "ViT-L-14-336px.pt"
    assert scale.clip == {"source": "ViT-L-14-336", "weights": weights, "image_size": 518}
    assert (scale.train, scale.test) == (str(real / "visa"), str(real / "mvtec"))
    assert environment.choose_scale("lite")[:2] == ("lite", "as asked for")


@pytest.mark.parametrize(
    "gone, said", [("visa", "no .*/visa"), ("mvtec", "no .*/mvtec"), ("weights", "no weights in")]
)
def test_lite_says_what_full_lacks(real, gone, said):
    shutil.rmtree(real / gone)
    scale = environment.choose_scale()
    assert (scale.name, scale.clip, scale.train) == ("lite", {"source": "lite"}, "factory/train")
    assert re.search(said, scale.why)
    with pytest.raises(FileNotFoundError, match=f"cannot run here: {said}"):
        environment.choose_scale("full")


def test_no_card_means_lite_and_unknown_scales_are_refused(real, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert environment.choose_scale().why == "full is not possible: no CUDA device"
    with pytest.raises(ValueError, match="scale 'huge'"):
        environment.choose_scale("huge")
