"""Where the arrays of a data set are held: in memory, or, too big for it, in files of a cache folder."""

import hashlib
import io
import json
import math
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np

from keras_gen.data.examples import Examples
from keras_gen.data.messages import brief, plain
from keras_gen.data.resize import Source
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files import writing
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

MEMORY_LIMIT = 2**30  # bytes of images that are held in memory; larger sets are mapped from the cache
_FORMAT = 1  # of the cache; part of the key


def cache_folder() -> Path:
    """Returns the folder of the large sets: `KERAS_GEN_CACHE`, by default `~/.cache/keras_gen`."""
    return Path(os.environ.get("KERAS_GEN_CACHE") or "~/.cache/keras_gen").expanduser()


def gather(source: Source) -> Examples:
    """Reads all of a source.

    Args:
        source: one split of a data set.

    Returns:
        Its examples: images up to `MEMORY_LIMIT` bytes in memory, larger ones as a memory map.

    Raises:
        DamagedError: the set is empty, or ends early.
        UsageError: the disk has no room for a set that does not fit in memory.
    """
    if not source.count:
        raise DamagedError(f"{brief(source.name)} is empty; expected at least one image")
    size = source.count * math.prod(source.shape) * np.dtype(source.dtype).itemsize
    if size > MEMORY_LIMIT:
        return _gather_on_disk(source, size)
    image = np.empty((source.count, *source.shape), source.dtype)
    labels = []
    done = 0
    for chunk in _chunks(source):
        image[done : done + len(chunk["image"])] = chunk["image"]
        labels.append(chunk.get("label"))
        done += len(chunk["image"])
    arrays = {"image": image, **_labels(labels)}
    return Examples(arrays, source.classes, source.name, digest(arrays))


def digest(arrays: dict[str, np.ndarray]) -> str:
    """Returns the SHA-256 of named arrays: of their names, types, shapes and bytes."""
    sha = hashlib.sha256()
    for name in sorted(arrays):
        _announce(sha, name, arrays[name].dtype, arrays[name].shape)
        sha.update(np.ascontiguousarray(arrays[name]).data)
    return sha.hexdigest()


def _announce(sha, name, dtype, shape):
    sha.update(f"{name} {np.dtype(dtype).str} {tuple(shape)}\n".encode())


def _chunks(source):
    """Yields the chunks, counted and shown."""
    done = 0
    with Progress(f"reading {plain(source.name, 40)}", source.count) as progress:
        for chunk in source.chunks():
            done += len(chunk["image"])
            if done > source.count:
                break
            yield chunk
            progress.tell(done)
    if done != source.count:
        raise DamagedError(
            f"{brief(source.name)} announces {source.count} images and holds "
            f"{'fewer' if done < source.count else 'more'}; "
            "fetch or write it again"
        )


def _labels(chunks):
    return {} if chunks[0] is None else {"label": np.concatenate(chunks).astype(np.int32)}


def _gather_on_disk(source, size):
    key = json.dumps({**source.key, "format": _FORMAT}, sort_keys=True, default=str)
    slug = re.sub(r"[^\w.-]+", "_", source.name)[-40:]
    folder = cache_folder() / f"{slug}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    while (found := _open(source, folder)) is None:
        locked = False
        try:
            with writing.lock(folder):
                locked = True
                writing.clean(folder)
                if _open(source, folder) is None:
                    _write(source, size, folder)
        except UsageError:
            if locked:
                raise
            time.sleep(1.0)  # another process writes the very same file: it will serve both
    return found


def _open(source, folder):
    """Returns the examples in a folder of the cache, or None where there are none or they are not whole."""
    try:
        # Written last, so that its being there tells that the images are complete.
        with np.load(folder / "rest.npz", allow_pickle=False) as rest:
            digest_, labels = str(rest["digest"]), {name: rest[name] for name in rest.files if name == "label"}
        image = np.load(folder / "image.npy", mmap_mode="r", allow_pickle=False)
        if image.shape != (source.count, *source.shape) or image.dtype != source.dtype:
            return None
        return Examples({"image": image, **labels}, source.classes, source.name, digest_)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write(source, size, folder):
    free = shutil.disk_usage(folder).free
    if size > free:
        raise UsageError(
            f"{brief(source.name, 40)} needs {size:,} bytes in {shown(folder.parent, 40)} and {free:,} are free; "
            "give a smaller image_size, or set KERAS_GEN_CACHE"
        )
    sha, labels = hashlib.sha256(), []
    shape = (source.count, *source.shape)
    _announce(sha, "image", source.dtype, shape)
    # Written, not mapped: on a full disk, a write raises where a mapped page kills the process.
    with writing.beside(folder / "image.npy", needed=size) as temporary, open(temporary, "wb") as file:
        header = {"descr": np.dtype(source.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, header)
        for chunk in _chunks(source):
            data = np.ascontiguousarray(chunk["image"]).data
            sha.update(data)
            file.write(data)
            labels.append(chunk.get("label"))
        file.flush()
    label = _labels(labels)
    for name, array in label.items():
        _announce(sha, name, array.dtype, array.shape)
        sha.update(array.data)
    rest = io.BytesIO()
    np.savez(rest, digest=np.array(sha.hexdigest()), **label)
    writing.write(folder / "rest.npz", rest.getvalue())
