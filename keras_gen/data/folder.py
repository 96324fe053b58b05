"""A folder of images, perhaps with a subfolder for each class, perhaps with `train` and `test` above those."""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_gen.data import resize
from keras_gen.data.messages import canonical, choose_split, notice, plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_SPLITS = ("train", "validation", "test")
_HELD_OUT = 10  # without split folders, every tenth image is the test split
_WINDOW = 256  # images that are decoded ahead
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width


def source(path: Path, split: str, size: tuple[int, int] | None, channels: int | None) -> resize.Source:
    """Lists a folder and looks at the header of each image.

    Raises:
        UsageError: no such split, or loose images beside class folders.
        DamagedError: no images, or one that cannot be read.
    """
    found, split = _part(path, split)
    classes = tuple(sorted({name for name, _ in itertools.chain.from_iterable(found.values()) if name is not None}))
    rows = found[split]
    paths = [file for _, file in rows]
    if not paths:
        raise DamagedError(f"the {split} split of {shown(path)} is empty; expected at least one image")
    labels = np.array([classes.index(name) for name, _ in rows], np.int32) if classes else None
    if size is None or channels is None:
        sizes, colored = _headers(paths)
        channels = channels or (3 if colored else 1)
        if size is None and len(sizes) > 1:
            size = resize.MIXED_SIZE
            notice(
                f"{shown(path)} holds {len(sizes)} sizes of images: cropped and resized to "
                f"{size[0]}x{size[1]}; set image_size to choose",
            )
        size = size or next(iter(sizes))

    def chunks():
        done = 0
        for window in _decoded(paths, size, channels):
            out = {"image": window}
            if labels is not None:
                out["label"] = labels[done : done + len(window)]
            done += len(window)
            yield out

    stats = [(str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns) for file in paths]
    key = {"source": str(path.resolve()), "files": stats, "classes": classes, "size": size, "channels": channels}
    shape = (*size, channels)
    return resize.Source(path.resolve().name, classes, len(paths), shape, np.uint8, chunks, key)


def _part(path, split):
    """Returns {split: [(class or None, file), ...]} and the name of the split asked for."""
    folders = {entry.name: entry for entry in sorted(path.iterdir()) if entry.is_dir() and not _hidden(entry)}
    listed = {name: sorted(_walk(folder)) for name, folder in folders.items()}
    listed = {name: files for name, files in listed.items() if files}
    loose = sorted(file for file in path.iterdir() if _is_image(file))
    if not loose and not listed:
        raise DamagedError(
            f"{shown(path)} holds no images; expected {', '.join(s[1:] for s in SUFFIXES)}, or folders of them"
        )
    if listed and not loose and all(canonical(name) in _SPLITS for name in listed):
        split = choose_split(split, listed, path.name)
        found = {name: _classed(path / name, files) for name, files in listed.items()}
        if len({rows[0][0] is None for rows in found.values()}) > 1:
            raise UsageError(f"in {shown(path)} some splits have class folders and some have not; give all or none")
        return found, split
    rows = _classed(path, loose + [file for files in listed.values() for file in files])
    split = choose_split(split, ["train", "test"], path.name)
    test = rows[::_HELD_OUT] if len(rows) > 1 else []
    train = [row for index, row in enumerate(rows) if index % _HELD_OUT] if len(rows) > 1 else rows
    return {"train": train, "test": test}, split


def _classed(top, files):
    """Pairs each image with the name of its class: the subfolder that it is in."""
    parts = [file.relative_to(top).parts for file in files]
    in_classes = [len(part) > 1 for part in parts]
    if not any(in_classes):
        return [(None, file) for file in files]
    if not all(in_classes):
        loose, inside = parts[in_classes.index(False)][0], parts[in_classes.index(True)][0]
        raise UsageError(
            f"{shown(top)} holds the loose image {plain(loose, 30)} beside the class folder {plain(inside, 30)}; "
            "move it into a class folder"
        )
    return [(part[0], file) for part, file in zip(parts, files, strict=True)]


def _hidden(path):
    return path.name.startswith((".", "__MACOSX"))


def _is_image(path):
    return path.suffix.lower() in SUFFIXES and not _hidden(path) and path.is_file()


def _walk(top) -> Iterator[Path]:
    """Yields the images below a folder; links to folders are followed, but not in circles."""
    seen = {os.path.realpath(top)}
    for root, folders, files in os.walk(top, followlinks=True):
        real = {name: os.path.realpath(os.path.join(root, name)) for name in folders}
        folders[:] = sorted(name for name in folders if not _hidden(Path(name)) and real[name] not in seen)
        seen.update(real[name] for name in folders)
        yield from (file for file in (Path(root, name) for name in files) if _is_image(file))


def _broken(file, error):
    # Pillow repeats the whole path in its message.
    reason = "not an image" if type(error).__name__ == "UnidentifiedImageError" else plain(error, 60)
    return DamagedError(f"cannot read {shown(file, 90)}: {reason}; repair or remove it")


def _headers(paths):
    """Returns the sizes that occur, and whether any image is colored."""
    from PIL import Image

    def header(file):
        try:
            with Image.open(file) as image:
                width, height = image.size
                # Elsewhere, Pillow would have to decode all of the image to find the orientation.
                if image.format in ("JPEG", "MPO") and image.getexif().get(0x0112) in _TURNED:
                    width, height = height, width
                return (height, width), _colored(image)
        except _errors() as error:
            raise _broken(file, error) from error

    sizes, colored = set(), False
    with ThreadPoolExecutor(_threads()) as pool, Progress("looking at images", len(paths)) as progress:
        for window in _windows(paths):
            for size, color in pool.map(header, window):
                sizes.add(size)
                colored |= color
            progress.add(len(window))
    return sizes, colored


def _windows(paths):
    return (paths[first : first + _WINDOW] for first in range(0, len(paths), _WINDOW))


def _colored(image):
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        used = np.unique(np.asarray(image.getchannel("P") if image.mode == "PA" else image))
        used = palette[used[used < len(palette)]]  # palettes hold colors that no pixel has
        return bool((used != used[:, :1]).any())
    return image.mode not in ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def _decoded(paths, size, channels):
    """Yields stacks of images, in order."""

    def decode(file):
        try:
            return resize.fit(_pixels(file)[None], size, channels)[0]
        except _errors() as error:
            raise _broken(file, error) from error

    with ThreadPoolExecutor(_threads()) as pool:
        for window in _windows(paths):
            yield np.stack(list(pool.map(decode, window)))


def _pixels(file):
    """Decodes one image, uint8 (height, width, 1 or 3); what is transparent becomes white."""
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode == "F":
            raise ValueError("floats; expected 8 or 16 bits")
        if image.mode == "I" or image.mode.startswith("I;16"):
            deep = np.asarray(image).astype(np.int64)
            if deep.size and (deep.min() < 0 or deep.max() >= 2**16):
                raise ValueError("32 bits; expected 8 or 16 bits")
            return ((deep + 128) // 257).astype(np.uint8)[..., None]
        color = _colored(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, (255, 255, 255, 255))
            image = Image.alpha_composite(white, image)
        pixels = np.asarray(image.convert("RGB" if color else "L"))
        return pixels if color else pixels[..., None]


def _errors():
    from PIL import Image

    # Pillow raises what its decoders meet: SyntaxError and struct's errors too.
    return (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, EOFError, Image.DecompressionBombError)


def _threads():
    return min(8, os.cpu_count() or 1)
