"""Where public data sets come from: addresses, checksums, sizes, licences, and who says so.

Special: none of these hosts could be reached where this was written. Addresses and checksums are
from public sources, named beside each; the sets of GitHub are pinned to a commit and checked
against its tree, which the repository itself names.
Use: `SOURCES["visa"].addresses`, `SOURCES["visa"].verify("VisA_20220922.tar")`.
"""

from dataclasses import dataclass
from pathlib import Path

from .download import refuse_other
from .unpack import tree

MB = 10**6


@dataclass(frozen=True)
class Source:
    """A data set as it is published, in one archive."""

    title: str
    file: str  # the archive's name
    addresses: tuple[str, ...]  # tried in this order; none: the owner wants you to come to the page
    page: str  # the owner's
    licence: str
    accept: bool  # whether the licence has to be accepted; False: the owner states none
    size: int | None  # bytes of the archive; None: it differs, GitHub packs it when asked
    unpacked: int  # bytes of disk that it may take, masks made here included, at most
    sha256: str = ""  # of the archive
    tree: str = ""  # git's name of what it holds, where the archive's bytes differ
    photographs: str = ""  # the name in photographs.SETS of a set that needs masks and a manifest

    def verify(self, path: Path) -> None:
        """Raises where a file is not this archive."""
        if self.sha256:
            refuse_other(path, self.title, self.sha256)
        else:
            refuse_other(path, self.title, self.tree, "git tree", tree(path, self.unpacked))

    @property
    def most(self) -> int:
        """Bytes that the archive may have."""
        return self.size or self.unpacked


def _github(repository: str, commit: str, **more) -> Source:
    """A repository that is a data set, at one commit."""
    addresses = (
        f"https://codeload.github.com/{repository}/zip/{commit}",
        f"https://github.com/{repository}/archive/{commit}.zip",
    )
    file = f"{repository.partition('/')[2].strip('.')}-{commit[:8]}.zip"
    return Source(
        file=file, addresses=addresses, page=f"https://github.com/{repository}", size=None, **more
    )


SOURCES = {
    # Address, CC BY 4.0: github.com/amazon-science/spot-diff (README.md, LICENSE-DATASET) and
    # registry.opendata.aws/visa. SHA-256: anomalib, src/anomalib/data/datamodules/image/visa.py.
    # Bytes: Content-Length as several projects that fetched it note it. The second address is the
    # same bucket by its other name.
    "visa": Source(
        title="VisA",
        file="VisA_20220922.tar",
        addresses=(
            "https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
            "https://s3.us-west-2.amazonaws.com/amazon-visual-anomaly/VisA_20220922.tar",
        ),
        page="https://github.com/amazon-science/spot-diff",
        licence="CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/): name its authors",
        accept=True,
        size=1_929_840_640,
        unpacked=1_929_840_640,  # it is not compressed
        sha256="2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362",
    ),
    # Page, licence: mvtec.com. SHA-256: anomalib, .../image/mvtecad.py, and projects that fetched
    # it from the page. No address: MVTec asks who downloads, and its links change.
    "mvtec": Source(
        title="MVTec AD",
        file="mvtec_anomaly_detection.tar.xz",
        addresses=(),
        page="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        licence="CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/): no commercial"
        " use, name its authors, share what you make of it alike",
        accept=True,
        size=5_264_982_680,
        unpacked=8_000 * MB,
        sha256="cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d",
    ),
    # Licences: the README.md of each repository; DeepPCB also has a LICENSE (MIT).
    "deeppcb": _github(
        "tangsanli5201/DeepPCB",
        "08e98c4db5922613fb97176eb3d6497d48260cb1",
        title="DeepPCB",
        licence='"You can only use this dataset for research purpose" (README.md; LICENSE is MIT)',
        accept=True,
        unpacked=160 * MB,
        tree="7d301aa0b300572ebe5e036c82934fa2d52971b8",
        photographs="boards",
    ),
    "crackforest": _github(
        "cuilimeng/CrackForest-dataset",
        "ed57c2d96754e6c7d105805cd29aeeb3a799f267",
        title="CrackForest",
        licence='"made available for non-commercial research purposes only" (README.md)',
        accept=True,
        unpacked=160 * MB,  # one file in it may have GitHub's 100 MB
        tree="d803885c9533392a58303802c216c6fd82ed6a2c",
        photographs="cracks",
    ),
    "magnetic_tile": _github(
        "abin24/Magnetic-tile-defect-datasets.",
        "cc4eb530b57b9cb7225bf76023873043ffd50655",
        title="Magnetic tiles",
        licence="none is stated; the authors welcome its use and ask to be cited (README.md)",
        accept=False,
        unpacked=80 * MB,
        tree="b033f2e7edf21bf4e03d9c125549dbe45f2cc2fd",
        photographs="tiles",
    ),
}
