"""What a folder holds is listed, or it is said why not."""

import os

import pytest

from aaclip_lite import open_dataset
from aaclip_lite.files import folders
from aaclip_lite.files.forms import list_pictures
from tests.faults import places


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A folder of pictures, of which one folder cannot be read, for root too."""
    places.picture(tmp_path / "parts/good/0.png")
    places.picture(tmp_path / "parts/line2/1.png")
    scan = os.scandir

    def refuse(path="."):
        if os.path.basename(path) == "line2":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return tmp_path / "parts"


@pytest.mark.parametrize("door", [list_pictures, open_dataset], ids=["pictures", "data set"])
def test_a_folder_that_cannot_be_read_is_an_error(closed, door):
    with pytest.raises(PermissionError, match=r"line2: a folder that cannot be read .*make it"):
        door(closed)


def test_a_list_of_what_a_folder_holds_names_the_folders_that_cannot_be_read(closed):
    found, skipped, unread = folders.below(closed)
    assert found == [closed / "good/0.png"] and not skipped
    assert len(unread) == 1 and unread[0].startswith(f"{closed}/line2: a folder that cannot")
