"""Pictures: damaged, disguised, odd; each at four doors: a file for predict, its bytes, a data set's
picture, a data set's mask.
"""

import io
import json
import os
import struct
import zlib

import numpy as np
from PIL import Image

from aaclip_lite.datasets import open_dataset
from tests.faults import places
from tests.faults.judge import Case, command

SIZE = (48, 40)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def photo(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(places.pixels(0, size)).convert(mode)


def chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png_of(width: int, height: int) -> bytes:
    """A PNG that promises so many pixels and holds none."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + body


def with_end(data: bytes, share: float, end: bytes) -> bytes:
    return data[: int(share * len(data))] + end


def damaged() -> dict[str, bytes]:
    """Name, with the ending that it pretends to have: bytes that must be refused."""
    png, jpeg = encoded(photo()), encoded(photo(size=(200, 160)), "JPEG", quality=95)
    tiff, webp, bmp = (encoded(photo(), kind) for kind in ("TIFF", "WEBP", "BMP"))
    slow = encoded(photo(size=(200, 160)), "JPEG", progressive=True)
    loop = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{ } loop\n"
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 255
    end = b"\xff\xd9"
    other = Image.fromarray(places.pixels(1, SIZE))
    pages = {"save_all": True, "append_images": [other]}
    float_values = Image.fromarray(np.full((40, 48), 7.0, np.float32))
    return {
        "empty.png": b"",
        "text.png": b"not a picture",
        "zeros.jpg": bytes(500),
        "postscript.png": loop,
        "postscript.jpg": loop,
        "pdf.png": b"%PDF-1.4\n1 0 obj",
        "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "html.jpg": b"<html><body>404</body></html>",
        "zip.png": b"PK\x03\x04" + bytes(60),
        "gif.png": encoded(photo("P"), "GIF"),
        "ico.png": encoded(photo(), "ICO"),
        "ppm.png": encoded(photo(), "PPM"),
        "signature.png": png[:8],
        "half.png": png[: len(png) // 2],
        "half.jpg": jpeg[: len(jpeg) // 2],
        "half.tif": tiff[: len(tiff) // 2],
        "half.webp": webp[: len(webp) // 2],
        "half.bmp": bmp[: len(bmp) // 2],
        "flipped.png": bytes(flipped),
        "ended.png": with_end(png, 0.5, png[-12:]),
        "ended.jpg": with_end(jpeg, 0.5, end),
        "nearly.jpg": with_end(jpeg, 0.8, end),
        "early.jpg": with_end(jpeg, 0.3, end),
        "progressive.jpg": with_end(slow, 0.4, end),
        "huge.png": png_of(60_000, 60_000),
        "wide.png": png_of(2**31 - 1, 1),
        "hollow.png": png_of(64, 64),
        "nothing.png": png_of(0, 0),
        "pixel.png": encoded(photo(size=(1, 1))),
        "line.png": encoded(photo(size=(300, 1))),
        "pages.tif": encoded(photo(), "TIFF", **pages),
        "moving.png": encoded(photo(), "PNG", **pages),
        "moving.webp": encoded(photo(), "WEBP", **pages),
        "float.tif": encoded(float_values, "TIFF"),
        "negative.tif": encoded(Image.fromarray(np.full((40, 48), -5, np.int32)), "TIFF"),
        "deep.tif": encoded(Image.fromarray(np.full((40, 48), 99_999, np.int32)), "TIFF"),
    }


# of some pictures a mask is harmless: any value that is not zero is a defect
ONLY_PICTURES = ("float.tif", "negative.tif", "deep.tif")


def at_file(data: bytes, ending: str):
    def run(place, folder):
        path = folder / f"part{ending}"
        path.write_bytes(data)
        place.mark()
        place.detector.predict(path, "bolt")

    return run


def at_bytes(data: bytes, ending: str):
    return lambda place, folder: place.detector.predict(data, "bolt")


def write_parts(folder, ending: str, data: bytes, role: str) -> None:
    kinds = {"image": "part.png", "mask": "mask.png", role: f"part{ending}"}
    if role == "mask":
        kinds = {"image": "whole.png", "mask": f"part{ending}"}
    photo().save(folder / kinds["image"]) if role == "mask" else None
    shape = np.zeros(SIZE[::-1], np.uint8)
    shape[5:20, 5:20] = 255
    if role == "image":
        Image.fromarray(shape).save(folder / "mask.png")
    (folder / f"part{ending}").write_bytes(data)
    line = {"image_path": kinds["image"], "mask_path": kinds["mask"], "label": 1}
    (folder / "manifest.jsonl").write_text(json.dumps(line | {"class_name": "bolt"}))


def at_data(data: bytes, ending: str, role: str):
    def run(place, folder):
        write_parts(folder, ending, data, role)
        place.mark()
        opened = open_dataset(folder, size=32, allow=("size",))
        opened.problems(strict=True)

    return run


def sound() -> dict[str, bytes]:
    """Odd, but pictures: they have to be read, and alike as a file, bytes and PIL object."""
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = photo("RGBA")
    clear.putalpha(Image.new("L", SIZE, 90))
    deep = np.asarray(photo("L")).astype(np.uint16)
    palette = photo("P")
    return {
        "plain.png": encoded(photo()),
        "turned.jpg": encoded(photo(), "JPEG", exif=turned),
        "turned.png": encoded(photo(), "PNG", exif=turned),
        "clear.png": encoded(clear),
        "clear.webp": encoded(clear, "WEBP", lossless=True),
        "grey.png": encoded(photo("L")),
        "grey_clear.png": encoded(photo("LA")),
        "bits.png": encoded(photo("1")),
        "palette.png": encoded(palette),
        "palette_clear.png": encoded(palette, transparency=3),
        "cmyk.jpg": encoded(photo("CMYK"), "JPEG"),
        "cmyk.tif": encoded(photo("CMYK"), "TIFF"),
        "lab.tif": encoded(photo("LAB"), "TIFF"),
        "sixteen.png": encoded(Image.fromarray(deep * 257)),
        "sixteen.tif": encoded(Image.fromarray(deep * 257), "TIFF"),
        "twelve.png": encoded(Image.fromarray(deep * 16)),
        "twelve.tif": encoded(Image.fromarray(deep * 16), "TIFF"),
        "float.tif": encoded(Image.fromarray(deep.astype(np.float32) / 255), "TIFF"),
        "progressive.jpg": encoded(photo(), "JPEG", progressive=True),
        "flat.jpg": encoded(Image.new("RGB", SIZE, (9, 9, 9)), "JPEG"),
        "white.jpg": encoded(Image.new("L", (300, 200), 255), "JPEG", optimize=True),
        "strip.png": encoded(photo(size=(300, 8))),
        "named_wrongly.jpg": encoded(photo()),
        "camera.jpg": encoded(photo(size=(4000, 3000)), "JPEG"),
    }


def at_three_doors(data: bytes, ending: str):
    """The same verdict from a file, bytes and a PIL object, upright and not black."""

    def run(place, folder):
        path = folder / f"part{ending}"
        path.write_bytes(data)
        place.mark()
        with Image.open(path) as opened:
            forms = [path, data, opened]
            found = [place.detector.predict(form, "bolt") for form in forms]
        for each in found[1:]:
            assert abs(each.score - found[0].score) < 1e-4, "the forms differ"
            assert each.map.shape == found[0].map.shape

    return run


def at_dataset_alike(data: bytes, ending: str):
    """A data set reads it as predict does."""

    def run(place, folder):
        write_parts(folder, ending, data, "image")
        opened = open_dataset(folder, allow=("size",))
        own = place.detector.predict(opened[0].image, "bolt")
        given = place.detector.predict(folder / f"part{ending}", "bolt")
        assert abs(own.score - given.score) < 0.05, "data set and predict differ"

    return run


def pipe(place, folder):
    os.mkfifo(folder / "part.png")
    place.detector.predict(folder / "part.png", "bolt")


def pipe_in_folder(place, folder):
    os.mkfifo(folder / "pipe.png")
    places.picture(folder / "part.png")
    assert len(place.detector.predict(folder, "bolt")) == 1


def loop_of_links(place, folder):
    (folder / "again").symlink_to(folder)
    places.picture(folder / "part.png")
    assert len(place.detector.predict(folder, "bolt")) == 1


def dead_link(place, folder):
    (folder / "part.png").symlink_to(folder / "gone.png")
    place.detector.predict(folder / "part.png", "bolt")


def foreign_folder(place, folder):
    (folder / "a.heic").write_bytes(b"0")
    (folder / "b.gif").write_bytes(b"0")
    command("predict", folder, "--detector", place.folder, "--product", "bolt")


def cases() -> list[Case]:
    found = []
    for name, data in damaged().items():
        ending = name[name.rindex(".") :]
        said = r"part\.|this bytes|pixels"
        found.append(Case("pictures", f"file-{name}", at_file(data, ending), rf"part\{ending}"))
        found.append(Case("pictures", f"bytes-{name}", at_bytes(data, ending), said))
        for role in ("image",) if name in ONLY_PICTURES else ("image", "mask"):
            run = at_data(data, ending, role)
            found.append(Case("pictures", f"{role}-{name}", run, rf"part\{ending}"))
    for name, data in sound().items():
        ending = name[name.rindex(".") :]
        for door, run in (("forms", at_three_doors), ("set", at_dataset_alike)):
            case = Case("odd pictures", f"{door}-{name}", run(data, ending), accepted=True)
            found.append(case)
    found += [
        Case("folders", "pipe", pipe, r"part\.png"),
        Case("folders", "pipe_in_folder", pipe_in_folder, accepted=True),
        Case("folders", "loop_of_links", loop_of_links, accepted=True),
        Case("folders", "dead_link", dead_link, r"part\.png"),
        Case("folders", "foreign", foreign_folder, "no pictures below"),
    ]
    return found
