"""files/fetch.py and what it stands on: licences, mirrors, broken lines, wrong files, evil archives."""

import dataclasses
import io
import shutil
import socket
import stat
import subprocess
import tarfile
import typing
import zipfile
from collections import namedtuple

import pooch
import pytest

import aaclip_lite as aa
from aaclip_lite.__main__ import main
from aaclip_lite.commands import fetch as command
from aaclip_lite.files import fetch as fetching
from aaclip_lite.files.download import FetchError
from aaclip_lite.files.sources import SOURCES
from aaclip_lite.files.unpack import ArchiveError, tree, unpack
from tests.files.flaky_server import STEP, serve
from tests.layouts import mask, write_photographs, write_visa_raw

FILE = "VisA_20220922.tar"


@pytest.fixture(scope="module")
def visa(tmp_path_factory):
    """A small VisA as it comes: one uncompressed tar."""
    place = tmp_path_factory.mktemp("visa")
    write_visa_raw(place / "in")
    with tarfile.open(place / FILE, "w") as archive:
        for path in sorted((place / "in").iterdir()):
            archive.add(path, path.name)
    assert (place / FILE).stat().st_size > 3 * STEP
    return place / FILE


@pytest.fixture
def server(visa):
    with serve({FILE: visa.read_bytes()}) as server:
        yield server


@pytest.fixture
def known(monkeypatch, visa):
    """Makes the small VisA the known one, at these ways of the server."""

    def known(*addresses, **changes):
        size = visa.stat().st_size
        sha256 = pooch.file_hash(str(visa))
        changes = {"size": size, "unpacked": size, "sha256": sha256} | changes
        changed = dataclasses.replace(SOURCES["visa"], addresses=addresses, **changes)
        monkeypatch.setitem(SOURCES, "visa", changed)

    return known


def get(root, **options):
    return aa.fetch("visa", root, **({"accept_licence": True, "progress": False} | options))


def hidden(root):
    return sorted(path.name for path in (root / ".fetch").iterdir() if path.name != ".lock")


def test_a_set_is_fetched_once_and_opens(tmp_path, server, known, capsys):
    known(server.address("good", FILE))
    assert get(tmp_path, progress=True) == tmp_path / "visa"
    told = capsys.readouterr()
    assert "CC BY 4.0" in told.out and "14 pictures of 2 classes, 4 defective" in told.out
    assert "VisA_20220922.tar: 100%" in told.err
    assert aa.open_dataset(tmp_path / "visa").classes == ["candle", "pcb1"]
    assert hidden(tmp_path) == []
    get(tmp_path, accept_licence=False)
    assert server.asked == [("good", 0)]


def test_mirrors_are_tried_in_turn(tmp_path, server, known):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{closed.getsockname()[1]}/{FILE}"
    ways = ("missing", "wrong", "longer", "shorter", "endless", "good")
    known(down, *(server.address(way, FILE) for way in ways))
    get(tmp_path)
    assert server.asked == [(way, 0) for way in ways]


def test_without_a_right_file_every_address_says_why(tmp_path, server, known):
    known(*(server.address(way, FILE) for way in ("missing", "wrong", "longer", "endless")))
    reasons = r"(?s)missing.*404.*wrong.*SHA-256 is.*longer.*announces.*endless.*sends more than"
    with pytest.raises(FetchError, match=f"{reasons}.*--archive FILE"):
        get(tmp_path)
    assert not (tmp_path / "visa").exists() and hidden(tmp_path) == []


def test_a_line_that_breaks_is_gone_on_from(tmp_path, server, known, visa):
    known(server.address("breaks", FILE))
    get(tmp_path)
    times = -(-visa.stat().st_size // STEP)
    assert server.asked == [("breaks", n * STEP) for n in range(times)]


def test_a_server_without_ranges_begins_anew(tmp_path, server, known):
    known(server.address("once", FILE))
    get(tmp_path)
    assert server.asked == [("once", 0), ("once", STEP)]


def test_the_next_run_goes_on(tmp_path, server, known, visa):
    (tmp_path / ".fetch" / "new.killed").mkdir(parents=True)
    part = tmp_path / ".fetch" / f"{FILE}.part"
    part.write_bytes(visa.read_bytes()[:12345])
    known(server.address("stuck", FILE))
    with pytest.raises(FetchError, match=r"(?s)broke off at 12,345 of .*Run it again to go on"):
        get(tmp_path)
    known(server.address("elsewhere", FILE), server.address("good", FILE))
    get(tmp_path)
    assert server.asked == [(way, 12345) for way in ("stuck", "elsewhere", "good")]
    assert hidden(tmp_path) == []


def test_a_beginning_of_another_file_is_thrown_away(tmp_path, server, known):
    (tmp_path / ".fetch").mkdir()
    (tmp_path / ".fetch" / f"{FILE}.part").write_bytes(b"x" * 5000)
    known(server.address("good", FILE))
    get(tmp_path)
    assert server.asked == [("good", 5000), ("good", 0)]


def test_a_file_of_unknown_size_is_never_pieced_together(tmp_path, server, known, visa):
    known(server.address("breaks", FILE), server.address("unsized", FILE), size=None)
    get(tmp_path)
    assert set(server.asked) == {("breaks", 0), ("unsized", 0)}


# ---- licence, the reader's own copy, room ----------------------------------------------------------


def test_nothing_is_asked_for_before_the_licence_is_accepted(tmp_path, server, known, capsys):
    known(server.address("good", FILE))
    with pytest.raises(FetchError, match=r"(?s)CC BY 4.0.*accept_licence=True"):
        aa.fetch("visa", tmp_path)
    assert main(["fetch", "visa", "--root", str(tmp_path)]) == 2
    assert "--accept-licence" in capsys.readouterr().err
    assert server.asked == [] and list(tmp_path.iterdir()) == []
    assert main(["fetch", "visa", "--root", str(tmp_path), "--accept-licence"]) == 0
    assert aa.open_dataset(tmp_path / "visa").classes == ["candle", "pcb1"]


def test_mvtec_is_fetched_from_its_page_by_hand(tmp_path):
    with pytest.raises(FetchError, match=r"(?s)mvtec\.com.*BY-NC-SA.*come to that page.*--archive"):
        aa.fetch("mvtec", tmp_path, accept_licence=True)


def test_an_archive_at_hand_is_checked_used_and_left(tmp_path, known, visa, capsys):
    known()
    options = ["--root", str(tmp_path / "a"), "--accept-licence", "--archive"]
    assert main(["fetch", "visa", *options, str(visa)]) == 0
    assert visa.is_file() and len(aa.open_dataset(tmp_path / "a/visa")) == 8
    other = tmp_path / "other.tar"
    other.write_bytes(visa.read_bytes()[:-1])
    with pytest.raises(FetchError, match=r"other\.tar: its SHA-256 is \w+, that of VisA is \w+"):
        get(tmp_path / "b", archive=other)
    with pytest.raises(FileNotFoundError, match=f"no such file; name the archive {FILE}"):
        get(tmp_path / "b", archive=tmp_path / "nothing.tar")


def test_a_full_disk_is_told_first(tmp_path, server, known, monkeypatch):
    known(server.address("good", FILE))
    usage = namedtuple("usage", "total used free")(10**12, 10**12, 5 * 10**7)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(FetchError, match=r"VisA takes 0\.00 GB .* 0\.05 GB are free"):
        get(tmp_path)
    assert server.asked == []


def test_a_set_that_lacks_something_gets_no_name(tmp_path, known, visa):
    lacking = tmp_path / FILE
    with tarfile.open(visa) as old, tarfile.open(lacking, "w") as new:
        for member in old:
            if not member.name.endswith("000.png"):
                new.addfile(member, old.extractfile(member))
    known(sha256=pooch.file_hash(str(lacking)))
    with pytest.raises(FetchError, match=r"(?s)not complete.*mask: \w+/Data/Masks/.*missing"):
        get(tmp_path, archive=lacking)
    assert not (tmp_path / "visa").exists() and hidden(tmp_path) == []
    (tmp_path / "visa").mkdir()
    with pytest.raises(FetchError, match=r"(?s)visa: not complete; move it away.*cannot be told"):
        get(tmp_path)


def test_a_mask_of_another_size_is_told_and_no_reason_to_refuse(tmp_path, known, visa, capsys):
    with tarfile.open(visa) as archive:
        archive.extractall(tmp_path / "in", filter="data")
    mask(tmp_path / "in" / "pcb1/Data/Masks/Anomaly/001.png", (20, 15))
    with tarfile.open(tmp_path / FILE, "w") as archive:
        archive.add(tmp_path / "in", "VisA_20220922")
    known(sha256=pooch.file_hash(str(tmp_path / FILE)), unpacked=10**6)
    place = get(tmp_path, archive=tmp_path / FILE)
    assert "1 need allow=('size',), size: pcb1/Data/Masks" in capsys.readouterr().out
    assert len(aa.open_dataset(place, allow=("size",))) == 8


# ---- sets of GitHub --------------------------------------------------------------------------------


def commit(folder):
    """(zip as GitHub packs a commit, git's name of its tree)"""
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]

    def call(*words):
        return subprocess.run([*git, *words], check=True, capture_output=True).stdout

    call("init", "-q")
    call("add", ".")
    call("commit", "-q", "-m", "a set")
    return call("archive", "--format=zip", "--prefix=x-1/", "HEAD"), call(
        "rev-parse", "HEAD^{tree}"
    ).decode().strip()


@pytest.mark.parametrize("name", ["deeppcb", "crackforest", "magnetic_tile"])
def test_a_commit_is_held_against_its_tree_and_gets_masks(tmp_path, monkeypatch, name):
    write_photographs(tmp_path / "in")
    home = {"deeppcb": ".", "crackforest": "roads", "magnetic_tile": "tiles"}[name]
    folder = tmp_path / "in" / home
    (folder / "PCB.py").write_text("a name that sorts before a folder's\n")
    (folder / "PCB.py").chmod(0o755)
    if name == "deeppcb":
        shutil.rmtree(folder / "roads"), shutil.rmtree(folder / "tiles")
    data, named = commit(folder)
    with serve({"a": data, "b": data[: len(data) // 2]}) as server:
        addresses = (server.address("good", "b"), server.address("unsized", "a"))
        source = dataclasses.replace(SOURCES[name], addresses=addresses, tree=named)
        monkeypatch.setitem(SOURCES, name, source)
        place = aa.fetch(name, tmp_path / "out", accept_licence=True, progress=False)
    assert [way for way, _ in server.asked] == ["good", "unsized"]
    test = aa.open_dataset(place, split="test")
    assert {record.label for record in test.records} == {0, 1}
    assert 0 < len(test) < len(aa.open_dataset(place))
    defective = next(i for i, record in enumerate(test.records) if record.label)
    assert test[defective].mask.any()
    monkeypatch.setitem(SOURCES, name, dataclasses.replace(source, tree="0" * 40))
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(FetchError, match=f"git tree is {named}, that of .* is 0000"):
        aa.fetch(name, tmp_path / "other", accept_licence=True, archive=tmp_path / "a.zip")


# ---- archives that mean harm -----------------------------------------------------------------------


def tar_with(path, **fields):
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("a/b")
        for field, value in fields.items():
            setattr(info, field, value)
        archive.addfile(info, io.BytesIO(bytes(info.size)))


def zip_with(path, names, data=b"x", mode=0):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.filename = name  # as it is, with what Windows and Python would change
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)


EVIL = {
    "absolute": (tar_with, {"name": "/tmp/evil"}, "leaves its folder"),
    "upwards": (tar_with, {"name": "a/../../evil"}, "leaves its folder"),
    "odd sign": (tar_with, {"name": "a\nb"}, "leaves its folder or is odd"),
    "deep": (tar_with, {"name": "a/" * 30 + "b"}, "leaves its folder or is odd"),
    "link": (tar_with, {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a link or a device"),
    "hard link": (tar_with, {"type": tarfile.LNKTYPE, "linkname": "a"}, "a link or a device"),
    "pipe": (tar_with, {"type": tarfile.FIFOTYPE}, "a link or a device"),
    "device": (tar_with, {"type": tarfile.CHRTYPE}, "a link or a device"),
    "large": (tar_with, {"size": 2_000_000}, "unpacks to more than the set holds"),
    "zip upwards": (zip_with, {"names": ["../evil"]}, "leaves its folder"),
    "zip drive": (zip_with, {"names": ["C:/evil"]}, "leaves its folder"),
    "zip backwards": (zip_with, {"names": ["..\\evil"]}, "leaves its folder"),
    "zip link": (zip_with, {"names": ["a"], "mode": stat.S_IFLNK}, "a link or a device"),
    "twice": (zip_with, {"names": ["a", "a"]}, "is there twice"),
    "below a file": (zip_with, {"names": ["a", "a/b"]}, "is there twice"),
    "bomb": (
        zip_with,
        {"names": ["a"], "data": bytes(3_000_000)},
        "unpacks to more than the set holds",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", EVIL)
def test_an_archive_that_means_harm_is_refused(tmp_path, kind):
    write, given, reason = EVIL[kind]
    archive = tmp_path / "set"
    write(archive, **given)
    (tmp_path / "in" / "new").mkdir(parents=True)
    with pytest.raises(ArchiveError, match=f"{reason}.*nothing of it is kept"):
        unpack(archive, tmp_path / "in" / "new", 1_000_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "set"]
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["new"]
    written = sum(p.lstat().st_size for p in tmp_path.glob("in/new/**/*") if p.is_file())
    assert written <= 1_000_000 and not any(p.is_symlink() for p in tmp_path.rglob("*"))


def test_a_damaged_archive_is_told(tmp_path, visa):
    whole = tmp_path / "set.tar.xz"
    with tarfile.open(whole, "w:xz") as archive:
        archive.add(visa, "a/visa")
    zip_with(tmp_path / "b.zip", ["a/b"], visa.read_bytes())
    for file, name in ((whole, "half.xz"), (tmp_path / "b.zip", "bent.zip")):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 255
        (tmp_path / name).write_bytes(data[:-100] if "half" in name else data)
        with pytest.raises(ArchiveError, match=f"{name}: damaged"):
            unpack(tmp_path / name, tmp_path / name.partition(".")[0], 10**7)
    (tmp_path / "page.zip").write_text("<html>log in first</html>")
    with pytest.raises(ArchiveError, match="neither a zip nor a tar"):
        tree(tmp_path / "page.zip", 10**7)


# ---- the list --------------------------------------------------------------------------------------


def test_every_set_can_be_checked_and_is_offered():
    assert typing.get_args(command.Name) == tuple(SOURCES)
    for source in SOURCES.values():
        assert len(source.sha256) == 64 or len(source.tree) == 40
        assert source.page.startswith("https://") and source.licence
        assert all(address.startswith("https://") for address in source.addresses)
        assert len(source.addresses) != 1 and source.unpacked >= (source.size or 0)
    with pytest.raises(ValueError, match="'vista': there are visa, mvtec"):
        aa.fetch("vista", ".")
    assert fetching.WORK.startswith(".")  # no data set is looked for there
