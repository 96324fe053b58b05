"""Images in a folder or a zip, perhaps with a subfolder for each class, perhaps with `train` and `test` above those."""

import itertools
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_gen.data import classes as classes_
from keras_gen.data import formats, pictures, ranges, resize, splits, tree
from keras_gen.data.deep import UnfitError
from keras_gen.data.messages import canonical, choose_split, notice, plain, tell_broken
from keras_gen.data.resize import Reading
from keras_gen.data.tree import Name, Tree
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

_WINDOW = 256  # images that are decoded ahead


def source(path: Path, split: str, size: tuple[int, int] | None, channels: int | None, how: Reading) -> resize.Source:
    """Lists a folder or a zip, or takes one picture, and looks at the header of each image.

    Transparency is kept as a fourth channel where 4 are asked for, and is otherwise laid on white.

    Raises:
        UsageError: no such split, loose images beside class folders, or an encrypted zip.
        DamagedError: no images, or some that cannot be read.
    """
    files = tree.opened(path)
    one = path.is_file() and not isinstance(files, tree.Zip)
    every, classes, held = _picture(files, split) if one else _part(files, split, how)
    number = {name: index for index, name in enumerate(classes)}
    labels = np.array([number[name] for name, _ in every], np.int32) if classes else None
    chosen = splits.rows(held, len(every), labels, shown(path))
    names = [file for _, file in every]
    if chosen is not None:
        names = [names[index] for index in np.flatnonzero(chosen)]
        labels = None if labels is None else labels[chosen]
    damaged: dict[Name, str] = {}
    asked, mixed = channels, False
    if size is None or channels is None:
        sizes, colored = _headers(files, names, damaged)
        if not sizes:
            raise _broken(files, damaged)
        channels = channels or (3 if colored else 1)
        mixed = size is None and len(sizes) > 1
        if mixed:
            size = resize.MIXED_SIZE
            notice(
                f"{shown(path)} holds {len(sizes)} sizes of images: cropped and resized to "
                f"{size[0]}x{size[1]}; set image_size to choose",
            )
        size = size or next(iter(sizes))

    def chunks():
        done = 0
        for window in _decoded(files, names, size, channels, asked, how.range, damaged):
            out = {"image": window}
            if labels is not None:
                out["label"] = labels[done : done + len(window)]
            done += len(window)
            yield out

    stats = [(str(name), *files.stamp(name)) for name in names]
    key = {"source": str(path.resolve()), "files": stats, "classes": classes, "size": size, "channels": channels}
    key |= {"range": how.range} if how.range else {}
    shape = (*size, channels)
    left = 0 if held else len(every) - len(names)
    return resize.Source(path.resolve().name, classes, len(names), shape, np.uint8, chunks, key, left, mixed)


def _picture(files, split):
    """Returns what `_part` does of one picture, which every split is."""
    (name,) = files.files()
    choose_split(split, ["train", "test", "all"], name)
    return [(None, name)], (), None


def _part(files, split, how):
    """Returns [(class or None, file), ...], the classes of all splits, and what of the files the split is."""
    where, names = shown(files.path), _pictures(files, how)
    if not names:
        raise DamagedError(f"{where} holds no images; expected {formats.NAMES}, or folders of them")
    top = _wrapping(files, names, [()])
    _tell_wrapping(where, top)
    below = len(top)
    loose = [name for name in names if len(name.parts) == below + 1]
    deeper = [name for name in names if len(name.parts) > below + 1]  # in order
    listed = {one: list(inside) for one, inside in itertools.groupby(deeper, lambda name: name.parts[below])}
    parts = {} if loose else _splits(files, listed, below)
    if parts:
        inner = _wrapping(files, list(itertools.chain(*parts.values())), [(*top, part) for part in parts])
        _tell_wrapping(f"each split of {where}", inner)
        found = {name: _classed(files, inside, below + 1 + len(inner)) for name, inside in parts.items()}
        if len({rows[0][0] is None for rows in found.values()}) > 1:
            raise UsageError(f"in {where} some splits have class folders and some have not; give all or none")
        folders = {name for part in parts for name in files.folders(*top, part, *inner)}
    else:
        found = {"train": _classed(files, loose + deeper, below)}
        folders = set(files.folders(*top))
    part = splits.part(split, found, files.path.name)
    classes = classes_.ordered(name for rows in found.values() for name, _ in rows if name is not None)
    empty = sorted(folders - set(classes)) if classes else []
    if empty:
        notice(f"{where} holds no image in {classes_.listed(empty)}: it is no class; expected {formats.NAMES}")
    return [row for name in part.stored for row in found[name]], classes, part.held


def _wrapping(files, names, tops):
    """Returns the folders, one in the other, that all pictures below these are in: alone there, they are no class."""
    depth, found = len(tops[0]), []
    for folder in os.path.commonprefix([name.parts[depth:-1] for name in names]):
        here = depth + len(found) + 2
        alone = all(files.folders(*top, *found) == [folder] for top in tops)
        if canonical(folder) in tree.SPLITS or (not alone and any(len(name.parts) == here for name in names)):
            break
        found.append(folder)
    return tuple(found)


def _tell_wrapping(where, folders):
    if folders:
        inside = plain("/".join(folders), 50)
        notice(f"{where} has all of its images in the folder {inside!r}, which is read in its place and is no class")


def _splits(files, listed, below):
    """Returns those of the folders that are splits; none where they all are classes. Says what is read as what."""
    where = shown(files.path, 50)
    parts = {name: inside for name, inside in listed.items() if canonical(name) in tree.SPLITS}
    others = [name for name in listed if name not in parts]
    divided = []
    for name in others:
        inside = {canonical(file.parts[below + 1]) for file in listed[name] if len(file.parts) > below + 2}
        divided += [name] if len(inside & set(tree.SPLITS)) > 1 else []
    if divided:
        beside = classes_.listed([other for other in listed if other != divided[0]], 2)
        way_out = (
            "give that folder" if len(divided) == 1 else f"move classes into splits: train/{plain(divided[0], 20)}"
        )
        raise UsageError(f"{where} has splits in {plain(divided[0], 20)!r}, and {beside} beside it; {way_out}")
    if not parts or not others:
        return parts
    deeper = any(len(file.parts) > below + 2 for inside in parts.values() for file in inside)
    if deeper or len(set(map(canonical, parts))) > 1:
        left = sum(len(listed[name]) for name in others)
        notice(f"{where} has {' and '.join(parts)}: left out {left} images in {classes_.listed(others)} beside them")
        return parts
    (name,) = parts if len(parts) == 1 else [" and ".join(parts)]
    notice(f"{where} has {name!r} beside {classes_.listed(others, 2)}: read as classes; splits would be train and test")
    return {}


def _pictures(files, how):
    """Returns the names of all pictures, in order; says which other files there are."""
    where, every = shown(files.path, 50), files.files()
    tell_broken(where, files.broken)
    with ThreadPoolExecutor(_threads()) as pool, Progress("looking at files", len(every)) as progress:
        found = []
        for window in _windows(every):
            fine = pool.map(lambda name: _is_picture(files, name), window)
            found += [name for name, good in zip(window, fine, strict=True) if good]
            progress.add(len(window))
    others = set(every) - set(found)
    if others and found:
        notice(f"{where}: left out {formats.counted(others)}, which are no {formats.NAMES}")
    files.check(found)
    if how.skip_damaged:
        damaged = _all_damaged(files, found)
        found = [name for name in found if name not in damaged]
    return found


def _is_picture(files, name):
    """Tells whether a file is a picture, or says that it is one by its ending."""
    try:
        return formats.format_of(files.head(name, formats.HEAD), name.suffix) is not None or formats.claims(name)
    except (OSError, *tree.ERRORS):
        return formats.claims(name)


def _all_damaged(files, names):
    """Decodes every image, and returns those that cannot be; says which."""
    damaged: dict[Name, str] = {}

    def look(name):
        try:
            with files.open(name) as file:
                pictures.decode(file, None)
        except UnfitError:
            pass  # it may fit the range that is given
        except _errors() as error:
            damaged[name] = _reason(files, name, error)

    with ThreadPoolExecutor(_threads()) as pool, Progress("looking for damage", len(names)) as progress:
        for window in _windows(names):
            list(pool.map(look, window))
            progress.add(len(window))
    if damaged:
        notice(f"{shown(files.path, 50)}: left out {_named(damaged)}")
    return set(damaged)


def _classed(files, names, depth):
    """Pairs each image with the name of its class: the subfolder that it is in, below so many others."""
    inside = [len(name.parts) > depth + 1 for name in names]
    if not any(inside):
        return [(None, name) for name in names]
    if not all(inside):
        loose, other = (plain(names[inside.index(one)].parts[depth], 30) for one in (False, True))
        top = shown(files.path.joinpath(*names[0].parts[:depth]))
        raise UsageError(
            f"{top} holds the loose image {loose} beside the class folder {other}; move it into a class folder"
        )
    return [(name.parts[depth], name) for name in names]


def _reason(files, name, error):
    # Pillow repeats the whole path in its message.
    if type(error).__name__ != "UnidentifiedImageError":
        return plain(error, 60) or type(error).__name__
    kind = formats.foreign(files.head(name, formats.HEAD))
    return f"{kind}, which is not read: convert it" if kind else "not an image"


def _named(damaged: Mapping[Name, str]) -> str:
    """Returns how many files are damaged, and which: as many as a line holds."""
    names = sorted(damaged)
    texts = [f"{plain(names[0], 60)} ({damaged[names[0]]})", *(plain(name, 40) for name in names[1:])]
    room, kept = 110, 0
    for text in texts:
        room -= len(text) + 2
        kept += room > 0
    kept = max(1, kept)
    more = f" and {len(names) - kept} more" if kept < len(names) else ""
    count = f"{len(names)} damaged {'file' if len(names) == 1 else 'files'}"
    return f"{count}: {', '.join(texts[:kept])}{more}"


def _broken(files: Tree, damaged: Mapping[Name, str]) -> DamagedError:
    """Returns the error that names every damaged file."""
    if len(damaged) == 1:
        ((name, reason),) = damaged.items()
        where = files.called(name, 80)
        return DamagedError(f"cannot read {where}: {reason}; repair or remove it, or give --skip-damaged")
    where = shown(files.path, 30)
    error = DamagedError(f"{where} has {_named(damaged)}; repair or remove, or give --skip-damaged")
    error.add_note("\n".join(f"{files.path / name}: {reason}" for name, reason in sorted(damaged.items())))
    return error


def _headers(files, names, damaged):
    """Returns the sizes that occur, and whether any image is colored; puts files that cannot be read into `damaged`."""

    def header(name):
        try:
            with files.open(name) as file:
                return pictures.header(file)
        except _errors() as error:
            damaged[name] = _reason(files, name, error)
            return None

    sizes, colored = set(), False
    with ThreadPoolExecutor(_threads()) as pool, Progress("looking at images", len(names)) as progress:
        for window in _windows(names):
            for size, color in filter(None, pool.map(header, window)):
                sizes.add(size)
                colored |= color
            progress.add(len(window))
    return sizes, colored


def _windows(names):
    return (names[first : first + _WINDOW] for first in range(0, len(names), _WINDOW))


def _decoded(files, names, size, channels, asked, range_, damaged):
    """Yields stacks of images, in order; raises at the end if some are damaged, so that all of them are named."""
    highest: dict[int, float] = {}
    unfit: dict[Name, str] = {}
    clear = 0

    def decode(name):
        if name in damaged:
            return None
        try:
            with files.open(name) as file:
                found = pictures.decode(file, range_, channels == 4)
            return found._replace(pixels=resize.fit(found.pixels[None], size, channels)[0])
        except UnfitError as error:
            unfit[name] = str(error)
            return None
        except _errors() as error:
            damaged[name] = _reason(files, name, error)
            return None

    with ThreadPoolExecutor(_threads()) as pool:
        for window in _windows(names):
            stack = list(pool.map(decode, window))
            for one in filter(None, stack):
                highest[one.top] = max(highest.get(one.top, 0), one.highest)
                clear += one.clear
            if not damaged and not unfit:
                yield np.stack([one.pixels for one in stack])
    if damaged:
        raise _broken(files, damaged)
    if unfit:
        first = min(unfit)
        more = f"; so do {len(unfit) - 1} more" if len(unfit) > 1 else ""
        raise UsageError(f"cannot scale {files.called(first, 60)}: {unfit[first]}{more}")
    where = shown(files.path, 40)
    for top, value in sorted(highest.items()) if range_ is None else ():
        ranges.tell(where, value, 0, top)
    if clear and asked is None:
        resize.tell_clear(f"{clear} of {len(names)} images in {where}")
    elif not clear and asked == 4:
        notice(f"{where} holds no transparent image: the fourth channel is opaque throughout")


def _errors():
    return (*pictures.errors(), *tree.ERRORS)


def _threads():
    return min(8, os.cpu_count() or 1)
