"""Any image set of tensorflow-datasets, by its name: what is on disk first, then a download that cannot hang."""

import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_gen.data import classes as classes_
from keras_gen.data import ranges, resize
from keras_gen.data.messages import brief, choose_split, notice, plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.sets import NAME, data_dir, prepared
from keras_gen.files.writing import shown
from keras_gen.terminal import Progress

FIRST_BYTE = 8.0  # seconds: without a network, the library itself tries for minutes
STALL = 120.0  # seconds without a byte, or work, once some have come
_BATCH = 256
_AT_WORK = 0.3  # processor seconds per second that tell preparing from waiting
_START = 60.0  # seconds for the child's imports, before that clock
_CHILD = """
import sys
try:
    import tensorflow, tensorflow_datasets as tfds
    print("READY", flush=True)
    tfds.builder(sys.argv[1], data_dir=sys.argv[2]).download_and_prepare()
except BaseException as error:
    text = str(error).strip() or type(error).__name__
    sys.exit("FAILED " + text.splitlines()[0])
"""


@functools.cache
def names() -> frozenset[str]:
    """Returns the names that tensorflow-datasets knows; none if it is not installed."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        return frozenset()
    return frozenset(tfds.list_builders(with_community_datasets=False))


def knows(name: str) -> bool:
    """Tells whether a name is one of tensorflow-datasets, or was prepared in its folder."""
    match = NAME.fullmatch(name)
    if not match:
        return False
    stem = re.split("[/:]", name)[0]
    return stem in names() or prepared(stem)


def source(name: str, split: str, size: tuple[int, int] | None, channels: int | None) -> resize.Source:
    """Opens a set by its name, and downloads it where it is not on disk.

    Raises:
        UsageError: no such split, no images in it, or the download failed.
        DamagedError: the files on disk cannot be read.
    """
    tfds = _library(name)
    builder = _builder(tfds, name)
    return _source(tfds, builder, split, size, channels)


def source_in(path: Path, split: str, size: tuple[int, int] | None, channels: int | None) -> resize.Source:
    """Opens a prepared set by the folder of its version (`mnist/3.0.1`)."""
    tfds = _library(str(path))
    try:
        builder = tfds.builder_from_directory(path)
    except Exception as error:  # whatever its parsers meet
        raise DamagedError(f"cannot read {shown(path)}: {plain(error, 60)}; prepare it again") from error
    return _source(tfds, builder, split, size, channels)


def holds_text(name: str) -> bool:
    """Tells whether a set has text and no images; it is downloaded where it is not on disk.

    Raises:
        UsageError: the download failed.
        DamagedError: the files on disk cannot be read.
    """
    tfds = _library(name)
    features = _features(_builder(tfds, name))
    return bool(_of_type(features, tfds.features.Text, "text")) and not _of_type(features, tfds.features.Image, "image")


def texts(name: str) -> dict[str, str]:
    """Returns the text of every split of a set, its examples joined by empty lines.

    Raises:
        UsageError: no text in it, or the download failed.
        DamagedError: the files on disk cannot be read.
    """
    tfds = _library(name)
    builder = _builder(tfds, name)
    features = _features(builder)
    found = _of_type(features, tfds.features.Text, "text")
    if not found:
        raise UsageError(f"{brief(name)} holds {plain(', '.join(features), 60)}; expected a text feature")
    return {
        split: "\n\n".join(
            row[found[0]].decode("utf-8", "replace") for row in tfds.as_numpy(builder.as_dataset(split=split))
        )
        for split in builder.info.splits
    }


def _features(builder):
    features = builder.info.features
    return features if hasattr(features, "items") else {}


def _builder(tfds, name):
    """Returns the builder of a prepared set, which is downloaded first where it is not on disk."""
    from_files = tfds.core.read_only_builder.builder_from_files
    try:
        builder = from_files(name, data_dir=data_dir())
    except tfds.core.registered.DatasetNotFoundError:
        _download(name, data_dir())
        try:
            builder = from_files(name, data_dir=data_dir())
        except (OSError, ValueError) as error:
            raise DamagedError(f"cannot read {brief(name, 40)}: {plain(error, 60)}; remove it and try again") from error
    except (OSError, ValueError) as error:
        raise DamagedError(
            f"cannot read {brief(name, 40)} in {shown(data_dir(), 60)}: {plain(error, 40)}; remove it and try again"
        ) from error
    return builder


def _library(name):
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UsageError(
            f"{brief(name, 40)} needs tensorflow-datasets: {plain(error, 60)}; run: pip install tensorflow-datasets"
        ) from error
    return tensorflow_datasets


def _source(tfds, builder, split, size, channels):
    info = builder.info
    name = info.name + (f"/{info.config_name}" if info.config_name else "") + f":{info.version}"
    image_name, shape = _image_feature(tfds, info.features, name)
    label_name, declared = _label_feature(tfds, info.features)
    split = _split(info, split, name)
    occurring = _occurring(tfds, builder, label_name, len(declared), split) if label_name else ()
    classes = tuple(declared[value] if declared else str(value) for value in occurring)
    count = info.splits[split].num_examples
    wanted = [image_name, label_name] if label_name else [image_name]
    others = [other for other in _of_type(info.features, tfds.features.Image, "") if other != image_name]
    fixed = None not in shape
    if not fixed and size is None:
        size = resize.MIXED_SIZE
        notice(
            f"{plain(name, 60)} holds images of any size: cropped and resized to {size[0]}x{size[1]}; "
            "set image_size to choose",
        )
    final = resize.final_shape(shape, size, channels)

    def chunks() -> Iterator[dict[str, np.ndarray]]:
        import tensorflow as tf

        highest = 0
        try:
            config = tfds.ReadConfig(try_autocache=False)
            decoders = {other: tfds.decode.SkipDecoding() for other in others}
            with tf.device("CPU"):
                data = builder.as_dataset(split=split, shuffle_files=False, read_config=config, decoders=decoders)
                data = data.map(lambda row: {key: row[key] for key in wanted})
                data = data.batch(_BATCH) if fixed else data
                rows = data.prefetch(2).as_numpy_iterator()
            for chunk in rows if fixed else _batched(rows):
                stack = chunk[image_name]
                highest = max(highest, *(int(image.max()) for image in stack))
                if fixed:
                    out = {"image": resize.fit(stack, size, channels)}
                else:
                    out = {"image": np.concatenate([resize.fit(image[None], size, channels) for image in stack])}
                if label_name:
                    out["label"] = np.asarray(chunk[label_name])
                    if out["label"].min() < 0:
                        raise DamagedError(
                            f"{brief(name)} has no labels in its {plain(split, 30)} split; choose another split"
                        )
                    out["label"] = classes_.settled(out["label"], np.array(occurring))
                yield out
        except (tf.errors.OpError, OSError) as error:
            raise DamagedError(
                f"cannot read {brief(name)}: {plain(getattr(error, 'message', error), 60)}; remove it and try again"
            ) from error

        ranges.tell(plain(name, 60), highest, 0, 255, scalable=False)

    shards = [list(part.shard_lengths) for part in info.splits.values()]
    key = {"source": name, "folder": str(builder.data_dir), "shards": shards, "split": split}
    key |= {"size": size, "channels": channels}
    key |= {"classes": occurring} if occurring != tuple(range(len(occurring))) else {}
    return resize.Source(name, classes, count, final, np.uint8, chunks, key)


def _occurring(tfds, builder, label_name, declared, split):
    """Returns the labels that occur in any split, in their order: read without images, until all have been seen.

    Labels below 0, which stand where a split has none, are not among them.
    """
    import tensorflow as tf

    skipped = {name: tfds.decode.SkipDecoding() for name in _of_type(builder.info.features, tfds.features.Image, "")}
    seen: set[int] = set()
    try:
        for part in dict.fromkeys([split, *builder.info.splits]):
            config = tfds.ReadConfig(try_autocache=False)
            with tf.device("CPU"):
                data = builder.as_dataset(split=part, shuffle_files=False, read_config=config, decoders=skipped)
                data = data.map(lambda row: row[label_name]).batch(_BATCH)
            for labels in data.as_numpy_iterator():
                seen.update(label for label in labels.tolist() if label >= 0)
                if len(seen) == declared:
                    return tuple(range(declared))
    except (tf.errors.OpError, OSError):
        return tuple(range(declared))  # reading the images tells what is wrong
    return tuple(sorted(seen))


def _batched(rows):
    """Stacks images of several sizes into lists."""
    chunk = {}
    for row in rows:
        for key, value in row.items():
            chunk.setdefault(key, []).append(value)
        if len(next(iter(chunk.values()))) == _BATCH:
            yield chunk
            chunk = {}
    if chunk:
        yield chunk


def _of_type(features, kind, first):
    """Returns the names of the top-level features of a type; the usual name comes first."""
    found = [name for name, feature in features.items() if isinstance(feature, kind)]
    return sorted(found, key=lambda name: name != first)


def _image_feature(tfds, features, name):
    features = features if hasattr(features, "items") else {}
    for candidate in _of_type(features, tfds.features.Image, "image"):
        shape, dtype = features[candidate].shape, np.dtype(features[candidate].np_dtype)
        if len(shape) == 3 and shape[2] in (1, 3) and dtype == np.uint8:
            return candidate, shape
    raise UsageError(
        f"{brief(name)} holds {plain(', '.join(features), 60)}; expected an image feature of uint8 and 1 or 3 channels"
    )


def _label_feature(tfds, features):
    for candidate in _of_type(features, tfds.features.ClassLabel, "label"):
        return candidate, tuple(features[candidate].names or map(str, range(features[candidate].num_classes or 0)))
    return None, ()


def _split(info, split, name):
    if "[" in split or "+" in split or split == "all":
        with contextlib.suppress(ValueError, KeyError, AssertionError):
            _ = info.splits[split].num_examples
            return split
        raise UsageError(
            f"{brief(name)} has no split {brief(split, 40)}; expected slices of: {plain(', '.join(info.splits), 60)}"
        )
    return choose_split(split, info.splits, name)


def _download(name, folder):
    """Prepares a set in a child process, which is ended when nothing arrives.

    The library tries again and again for minutes when there is no network, and nothing stops it from inside.
    """
    local = Path(folder)
    before = set(_downloads(local, name))
    existed = local.exists()
    with (
        tempfile.TemporaryDirectory(prefix="keras_gen-") as beside,
        open(Path(beside) / "log", "wb") as log,
        Progress(f"downloading {name} to {shown(folder, 40)}", unit="MB") as progress,
    ):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, "-c", _CHILD, name, folder]
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
        try:
            ended = _wait(child, lambda: _bytes(local, name), lambda: b"READY" in _text(log.name), progress)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        text = _text(log.name).decode(errors="replace")
    if child.returncode == 0:
        return
    _remove_partial(local, name, before, existed)
    failed = re.findall(r"^FAILED (.*)", text, re.MULTILINE)
    if failed:
        reason = re.sub(r'^Failed to construct dataset .*?": ', "", failed[-1])
        raise UsageError(
            f"tensorflow-datasets cannot prepare {brief(name, 30)}: {plain(reason, 90)}; give an .npz or a folder"
        )
    hosts = re.findall(r"Failed to resolve '([^']+)'|host='([^']+)'", text)
    reason = f"exit code {child.returncode}" if ended else "no answer"
    if hosts:
        reason = "cannot reach " + "".join(hosts[-1])
    raise UsageError(
        f"tensorflow-datasets has no {brief(name, 20)} in {shown(folder, 34)} and the download failed "
        f"({plain(reason, 36)}); give an .npz or a folder, or set TFDS_DATA_DIR"
    )


def _text(log):
    with open(log, "rb") as file:  # anew: the child writes at the shared position, which must not move
        return file.read(2**20)


def _wait(child, size, ready, progress):
    """Waits for the child to end, and tells whether it did; False where it only waits itself."""
    import psutil

    process = psutil.Process(child.pid)
    limit, since, start, work = _START, time.monotonic(), size(), 0.0
    last = start
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.25)
            return True
        now = time.monotonic()
        current = size()
        if limit == _START and ready():
            limit, since, work = FIRST_BYTE, now, _spent(process)
        if current > last:
            last, since, limit = current, now, STALL
        progress.tell(max(0, current - start) // 10**6)
        if now - since > limit:
            spent = _spent(process)
            if spent - work < _AT_WORK * limit:
                return False
            work, since = spent, now


def _spent(process):
    """Returns the processor seconds of a child: nothing is written while it sorts what has come."""
    import psutil

    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def _downloads(folder, name):
    """Yields what a download writes; what it has extracted may be many files, and is not looked through."""
    stem = re.split("[/:]", name)[0]
    for top in (folder / "downloads", folder / stem):
        for root, folders, files in os.walk(top):
            folders[:] = [child for child in folders if child != "extracted"]
            yield from (Path(root, child) for child in [*folders, *files])


def _bytes(folder, name):
    total = 0
    for path in _downloads(folder, name):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _remove_partial(folder, name, before, existed):
    """Removes the temporary files of a download that failed; whole files stay, for the next attempt."""
    fresh = [path for path in _downloads(folder, name) if path not in before]
    for path in fresh:
        if ".incomplete" in path.name or path.name.startswith("incomplete.") or ".tmp." in path.name:
            shutil.rmtree(path, ignore_errors=True)
            with contextlib.suppress(OSError):
                path.unlink()
    stem = re.split("[/:]", name)[0]
    folders = [*reversed([path for path in fresh if path.is_dir()])]
    folders += [folder / "downloads" / "extracted", folder / "downloads", folder / stem]
    with contextlib.suppress(OSError):
        for path in folders if existed else [*folders, folder]:
            with contextlib.suppress(OSError):
                path.rmdir()  # of empty ones only
