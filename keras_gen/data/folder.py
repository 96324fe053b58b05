"""A folder of images, perhaps with a subfolder for each class, perhaps with `train` and `test` above those."""

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_gen.data import classes as classes_
from keras_gen.data import formats, ranges, resize, splits
from keras_gen.data.messages import canonical, choose_split, notice, plain
from keras_gen.data.resize import Reading
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import sets
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

_SPLITS = ("train", "validation", "test")
_WINDOW = 256  # images that are decoded ahead
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap height and width


class Picture(NamedTuple):
    """A decoded image, and what its values may be."""

    pixels: np.ndarray  # (height, width, 1 or 3)
    highest: float
    top: int  # 255 or 65535: of the range that is assumed


def source(path: Path, split: str, size: tuple[int, int] | None, channels: int | None, how: Reading) -> resize.Source:
    """Lists a folder, or takes one picture, and looks at the header of each image.

    Raises:
        UsageError: no such split, or loose images beside class folders.
        DamagedError: no images, or some that cannot be read.
    """
    top = path if path.is_dir() else path.parent
    every, classes, held = _part(path, split, how) if path.is_dir() else _picture(path, split)
    number = {name: index for index, name in enumerate(classes)}
    labels = np.array([number[name] for name, _ in every], np.int32) if classes else None
    chosen = splits.rows(held, len(every), labels, shown(path))
    paths = [file for _, file in every]
    if chosen is not None:
        paths = [paths[index] for index in np.flatnonzero(chosen)]
        labels = None if labels is None else labels[chosen]
    damaged: dict[Path, str] = {}
    if size is None or channels is None:
        sizes, colored = _headers(paths, damaged)
        if not sizes:
            raise _broken(path, damaged)
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
        for window in _decoded(path, paths, size, channels, how.range, damaged):
            out = {"image": window}
            if labels is not None:
                out["label"] = labels[done : done + len(window)]
            done += len(window)
            yield out

    stats = [(str(file.relative_to(top)), file.stat().st_size, file.stat().st_mtime_ns) for file in paths]
    key = {"source": str(path.resolve()), "files": stats, "classes": classes, "size": size, "channels": channels}
    key |= {"range": how.range} if how.range else {}
    shape = (*size, channels)
    left = 0 if held else len(every) - len(paths)
    return resize.Source(path.resolve().name, classes, len(paths), shape, np.uint8, chunks, key, left)


def _picture(path, split):
    """Returns what `_part` does of one picture, which every split is."""
    choose_split(split, ["train", "test", "all"], path.name)
    return [(None, path)], (), None


def _part(path, split, how):
    """Returns [(class or None, file), ...], the classes of all splits, and what of the files the split is."""
    listed, loose, folders = _listed(path, how)
    if not loose and not listed:
        raise DamagedError(f"{shown(path)} holds no images; expected {formats.NAMES}, or folders of them")
    if listed and not loose and all(canonical(name) in _SPLITS for name in listed):
        found = {name: _classed(path / name, files) for name, files in listed.items()}
        if len({rows[0][0] is None for rows in found.values()}) > 1:
            raise UsageError(f"in {shown(path)} some splits have class folders and some have not; give all or none")
        folders = {name for top in listed for name in _subfolders(path / top)}
    else:
        found = {"train": _classed(path, loose + [file for files in listed.values() for file in files])}
    part = splits.part(split, found, path.name)
    classes = classes_.ordered(name for rows in found.values() for name, _ in rows if name is not None)
    empty = sorted(folders - set(classes)) if classes else []
    if empty:
        notice(f"{shown(path)} holds no image in {classes_.listed(empty)}: it is no class; expected {formats.NAMES}")
    return [row for name in part.stored for row in found[name]], classes, part.held


def _listed(path, how):
    """Returns {folder: pictures} of those that hold some, loose pictures, and the names of all folders."""
    folders = _subfolders(path)
    files = {name: sorted(_walk(path / name)) for name in folders}
    loose = sorted(file for file in path.iterdir() if not sets.beside(file.name) and file.is_file())
    every = [*loose, *itertools.chain.from_iterable(files.values())]
    with ThreadPoolExecutor(_threads()) as pool, Progress("looking at files", len(every)) as progress:
        pictures = set()
        for window in _windows(every):
            found = pool.map(_is_picture, window)
            pictures.update(file for file, fine in zip(window, found, strict=True) if fine)
            progress.add(len(window))
    others = [file for file in every if file not in pictures]
    if others and pictures:
        notice(f"{shown(path, 50)}: left out {formats.counted(others)}, which are no {formats.NAMES}")
    if how.skip_damaged:
        pictures -= _all_damaged(path, sorted(pictures))
    listed = {name: [file for file in inside if file in pictures] for name, inside in files.items()}
    listed = {name: inside for name, inside in listed.items() if inside}
    return listed, [file for file in loose if file in pictures], set(folders)


def _subfolders(path):
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not sets.beside(entry.name))


def _is_picture(file):
    """Tells whether a file is a picture, or says that it is one by its ending."""
    try:
        return formats.format_of(file) is not None or formats.claims(file)
    except OSError:
        return formats.claims(file)


def _all_damaged(path, files):
    """Decodes every image, and returns those that cannot be; says which."""
    damaged: dict[Path, str] = {}

    def look(file):
        try:
            _pixels(file, None)
        except _errors() as error:
            damaged[file] = _reason(file, error)

    with ThreadPoolExecutor(_threads()) as pool, Progress("looking for damage", len(files)) as progress:
        for window in _windows(files):
            list(pool.map(look, window))
            progress.add(len(window))
    if damaged:
        notice(f"{shown(path, 50)}: left out {_named(path, damaged)}")
    return set(damaged)


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


def _walk(top) -> Iterator[Path]:
    """Yields the files below a folder; links to folders are followed, but not in circles."""
    seen = {os.path.realpath(top)}
    for root, folders, files in os.walk(top, followlinks=True):
        real = {name: os.path.realpath(os.path.join(root, name)) for name in folders}
        folders[:] = sorted(name for name in folders if not sets.beside(name) and real[name] not in seen)
        seen.update(real[name] for name in folders)
        yield from (file for name in files if not sets.beside(name) and (file := Path(root, name)).is_file())


def _reason(file, error):
    # Pillow repeats the whole path in its message.
    if type(error).__name__ != "UnidentifiedImageError":
        return plain(error, 60)
    kind = formats.foreign(file)
    return f"{kind}, which is not read: convert it" if kind else "not an image"


def _named(path, damaged):
    """Returns how many files are damaged, and which: as many as a line holds."""
    top = path if path.is_dir() else path.parent
    files = sorted(damaged)
    first = f"{plain(files[0].relative_to(top), 60)} ({damaged[files[0]]})"
    names = [first, *(plain(file.relative_to(top), 40) for file in files[1:])]
    room, kept = 110, 0
    for name in names:
        room -= len(name) + 2
        kept += room > 0
    kept = max(1, kept)
    more = f" and {len(names) - kept} more" if kept < len(names) else ""
    count = f"{len(names)} damaged {'file' if len(names) == 1 else 'files'}"
    return f"{count}: {', '.join(names[:kept])}{more}"


def _broken(path, damaged):
    """Returns the error that names every damaged file."""
    if len(damaged) == 1:
        ((file, reason),) = damaged.items()
        return DamagedError(f"cannot read {shown(file, 80)}: {reason}; repair or remove it, or give --skip-damaged")
    error = DamagedError(f"{shown(path, 30)} has {_named(path, damaged)}; repair or remove, or give --skip-damaged")
    error.add_note("\n".join(f"{file}: {reason}" for file, reason in sorted(damaged.items())))
    return error


def _headers(paths, damaged):
    """Returns the sizes that occur, and whether any image is colored; puts files that cannot be read into `damaged`."""

    def header(path):
        try:
            with open(path, "rb") as file, _opened(file) as image:
                color = _colored(image)
                width, height = image.size[::-1] if formats.orientation(image, file) in _TURNED else image.size
                return (height, width), color
        except _errors() as error:
            damaged[path] = _reason(path, error)
            return None

    sizes, colored = set(), False
    with ThreadPoolExecutor(_threads()) as pool, Progress("looking at images", len(paths)) as progress:
        for window in _windows(paths):
            for size, color in filter(None, pool.map(header, window)):
                sizes.add(size)
                colored |= color
            progress.add(len(window))
    return sizes, colored


def _opened(file):
    """Opens a picture of one of our formats; of a file by its path, Pillow turns a plain TIFF twice."""
    from PIL import Image

    Image.preinit()
    if "AVIF" not in Image.OPEN:
        Image.init()
    return Image.open(file, formats=[name for name in formats.FORMATS if name in Image.OPEN])


def _windows(paths):
    return (paths[first : first + _WINDOW] for first in range(0, len(paths), _WINDOW))


def _colored(image):
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        used = np.unique(np.asarray(image.getchannel("P") if image.mode == "PA" else image))
        used = palette[used[used < len(palette)]]  # palettes hold colors that no pixel has
        return bool((used != used[:, :1]).any())
    return image.mode not in ("1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")


def _decoded(path, paths, size, channels, range_, damaged):
    """Yields stacks of images, in order; raises at the end if some are damaged, so that all of them are named."""
    highest: dict[int, float] = {}

    def decode(file):
        if file in damaged:
            return None
        try:
            found = _pixels(file, range_)
            return found._replace(pixels=resize.fit(found.pixels[None], size, channels)[0])
        except _errors() as error:
            damaged[file] = _reason(file, error)
            return None

    with ThreadPoolExecutor(_threads()) as pool:
        for window in _windows(paths):
            stack = list(pool.map(decode, window))
            for one in filter(None, stack):
                highest[one.top] = max(highest.get(one.top, 0), one.highest)
            if not damaged:
                yield np.stack([one.pixels for one in stack])
    if damaged:
        raise _broken(path, damaged)
    for top, value in sorted(highest.items()) if range_ is None else ():
        ranges.tell(shown(path, 40), value, 0, top)


def _pixels(path, range_):
    """Decodes one image to uint8; what is transparent becomes white."""
    from PIL import Image, ImageOps

    with open(path, "rb") as file, _opened(file) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("F", "I") or image.mode.startswith("I;16"):
            deep = np.asarray(image)
            if image.mode == "F" and range_ is None:
                raise ValueError("floats; expected 8 or 16 bits, or --range LOW,HIGH")
            if range_ is None and deep.size and (deep.min() < 0 or deep.max() >= 2**16):
                raise ValueError("32 bits; expected 8 or 16 bits, or --range LOW,HIGH")
            return Picture(_eight_bits(deep, range_ or (0, 65535))[..., None], float(deep.max(initial=0)), 65535)
        color = _colored(image)
        if image.has_transparency_data:
            image = image.convert("RGBA")
            light = 255 if range_ is None else int(min(255, max(0, range_[1])))
            white = Image.new("RGBA", image.size, (light, light, light, 255))
            image = Image.alpha_composite(white, image)
        pixels = np.asarray(image.convert("RGB" if color else "L"))
        high = float(pixels.max(initial=0))
        pixels = pixels if range_ is None else _eight_bits(pixels, range_)
        return Picture(pixels if color else pixels[..., None], high, 255)


def _eight_bits(values, range_):
    """Returns the 256 levels of values of a range."""
    low, high = range_
    if not np.isfinite(values).all():
        raise ValueError("it holds NaN or infinite values")
    if values.size and (values.min() < low or values.max() > high):
        odd = values.min() if values.min() < low else values.max()
        raise ValueError(f"it holds {odd:.6g}; expected values from {low:.6g} to {high:.6g}")
    return np.floor((values.astype(np.float64) - low) * 255 / (high - low) + 0.5).astype(np.uint8)


def _errors():
    from PIL import Image

    # Pillow raises what its decoders meet: SyntaxError and struct's errors too.
    return (OSError, ValueError, SyntaxError, ArithmeticError, LookupError, EOFError, Image.DecompressionBombError)


def _threads():
    return min(8, os.cpu_count() or 1)
