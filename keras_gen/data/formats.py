"""Which files are pictures: told by their first bytes, of a fixed list of formats, whatever else Pillow can open."""

import collections
import re
import struct
from collections.abc import Iterable
from pathlib import PurePath
from typing import BinaryIO

from keras_gen.files.sets import IMAGES

FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF")  # as Pillow calls them
NAMES = "png, jpeg, gif, webp, bmp, tiff, ppm, avif"  # in messages
HEAD = 512  # bytes of a file that tell its format
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes, which tell a bitmap from a text that begins with BM
_PORTABLE = re.compile(rb"P[1-6]\s+(#[^\n]*\n\s*)*\d+\s+(#[^\n]*\n\s*)*\d+\s")
# Cameras' raw files are TIFF by their first bytes; the picture that Pillow finds in them is a thumbnail.
_RAW = frozenset(".nef .nrw .dng .arw .sr2 .srf .srw .cr2 .pef .3fr .fff .iiq .erf .kdc .dcr .mef .mos .gpr".split())


def claims(name: PurePath) -> bool:
    """Tells whether a file's ending says that it is a picture."""
    return name.suffix.lower() in IMAGES


def counted(files: Iterable[PurePath]) -> str:
    """Returns how many files there are, and of which kinds: `3 files (2 .txt, 1 .csv)`."""
    kinds = collections.Counter(file.suffix.lower()[:12] or "without an ending" for file in files)
    listed = ", ".join(f"{count} {name}" for name, count in kinds.most_common(4))
    more = f" and {len(kinds) - 4} more kinds" if len(kinds) > 4 else ""
    return f"{kinds.total()} {'file' if kinds.total() == 1 else 'files'} ({listed}{more})"


def format_of(head: bytes, ending: str = "") -> str | None:
    """Returns the format of a picture by the first bytes of its file, or None where it is none of the list."""
    found = _by_bytes(head)
    return None if found == "TIFF" and ending.lower() in _RAW else found


def foreign(head: bytes) -> str | None:
    """Returns the name of a picture format that phones write and that is not on the list, or None."""
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
        return "HEIC"
    return "JPEG XL" if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")) else None


def _by_bytes(head):
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return None if head[8:10] == b"CR" else "TIFF"  # Canon's raw files
    if head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BITMAP_HEADERS:
        return "BMP"
    if head[4:8] == b"ftyp":
        size = struct.unpack_from(">I", head)[0]
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(size, len(head)), 4))]
        return "AVIF" if b"avif" in brands or b"avis" in brands else None
    return "PPM" if _PORTABLE.match(head) else None


def orientation(image, file: BinaryIO) -> int:
    """Returns the EXIF orientation that decoding will apply; of TIFF 1, since Pillow has turned its size already.

    Args:
        image: a picture that Pillow has opened, and not decoded.
        file: that it is read from; its position is kept.
    """
    if image.format == "TIFF":
        return 1
    if image.format == "PNG" and _more_to_come(file):
        image.load()  # Pillow reads what stands behind the pixels only with them
    elif image.format == "PNG" and not (
        {"exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp"} & set(image.info)
    ):
        return 1  # asked, Pillow would decode all of it
    return image.getexif().get(0x0112, 1)


def _more_to_come(file):
    """Tells whether a PNG holds texts or EXIF data behind its pixels."""
    place, pixels = file.tell(), False
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            pixels |= name == b"IDAT"
            words = file.read(min(length, 32)) if name in (b"iTXt", b"tEXt", b"zTXt") else b""
            if pixels and (name == b"eXIf" or words.startswith((b"Raw profile type", b"XML:com.adobe.xmp"))):
                return True
            file.seek(length - len(words) + 4, 1)
        return False
    finally:
        file.seek(place)
