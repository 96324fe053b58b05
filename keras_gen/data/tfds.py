"""Any image set of tensorflow-datasets, by its name: what is on disk first, then a download that cannot hang."""

import contextlib
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_gen.data import classes as classes_
from keras_gen.data import ranges, resize, splits
from keras_gen.data.download import download
from keras_gen.data.messages import brief, notice, plain
from keras_gen.errors import DamagedError, UsageError
from keras_gen.files.sets import NAME, data_dir, prepared
from keras_gen.files.writing import shown

_BATCH = 256
_IN_ORDER = {"interleave_cycle_length": 1}  # one shard after the other: the place of a row is its number


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
    return _source(tfds, _builder_in(tfds, path), split, size, channels)


def stored(name_or_path: str | Path) -> tuple[str, ...]:
    """Returns the names of a set's splits; a name that is not on disk is downloaded, a path is a version's folder.

    Raises:
        UsageError: the download failed.
        DamagedError: the files on disk cannot be read.
    """
    tfds = _library(str(name_or_path))
    builder = _builder_in(tfds, name_or_path) if isinstance(name_or_path, Path) else _builder(tfds, name_or_path)
    return tuple(builder.info.splits)


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
        download(name, data_dir())
        try:
            builder = from_files(name, data_dir=data_dir())
        except (OSError, ValueError) as error:
            raise DamagedError(f"cannot read {brief(name, 40)}: {plain(error, 60)}; remove it and try again") from error
    except (OSError, ValueError) as error:
        raise DamagedError(
            f"cannot read {brief(name, 40)} in {shown(data_dir(), 60)}: {plain(error, 40)}; remove it and try again"
        ) from error
    return builder


def _builder_in(tfds, path):
    try:
        return tfds.builder_from_directory(path)
    except Exception as error:  # whatever its parsers meet
        raise DamagedError(f"cannot read {shown(path)}: {plain(error, 60)}; prepare it again") from error


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
    split, held = _split(info, split, name)
    occurring = _occurring(tfds, builder, label_name, len(declared), split) if label_name else ()
    classes = tuple(declared[value] if declared else str(value) for value in occurring)
    chosen = _rows(tfds, builder, split, held, label_name, name)
    count = info.splits[split].num_examples if chosen is None else int(chosen.sum())
    left = 0 if held or chosen is None else len(chosen) - count
    wanted = [image_name, label_name] if label_name else [image_name]
    others = [other for other in _of_type(info.features, tfds.features.Image, "") if other != image_name]
    fixed = None not in shape
    if not fixed and size is None:
        size = resize.MIXED_SIZE
        notice(
            f"{plain(name, 60)} holds images of any size: cropped and resized to {size[0]}x{size[1]}; "
            "set image_size to choose",
        )
    resize.tell_channels(plain(name, 60), shape[2], channels)
    final = resize.final_shape(shape, size, channels)

    def chunks() -> Iterator[dict[str, np.ndarray]]:
        import tensorflow as tf

        highest, done = 0, 0
        try:
            config = tfds.ReadConfig(try_autocache=False, **({} if chosen is None else _IN_ORDER))
            decoders = {other: tfds.decode.SkipDecoding() for other in others}
            with tf.device("CPU"):
                data = builder.as_dataset(split=split, shuffle_files=False, read_config=config, decoders=decoders)
                data = data.map(lambda row: {key: row[key] for key in wanted})
                data = data.batch(_BATCH) if fixed else data
                rows = data.prefetch(2).as_numpy_iterator()
            for chunk in rows if fixed else _batched(rows):
                if chosen is not None:
                    here = chosen[done : done + len(chunk[image_name])]
                    done += len(here)
                    if not here.any():
                        continue
                    chunk = {key: [value[row] for row in np.flatnonzero(here)] for key, value in chunk.items()}
                stack = np.stack(chunk[image_name]) if fixed else chunk[image_name]
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
    key |= {"size": size, "channels": channels} | ({} if chosen is None else {"held": bool(held)})
    key |= {"classes": occurring} if occurring != tuple(range(len(occurring))) else {}
    return resize.Source(name, classes, count, final, np.uint8, chunks, key, left)


def _rows(tfds, builder, split, held, label_name, name):
    """Returns which examples of a split are read: all (None), or those that are held out as the test split, or not."""
    import tensorflow as tf

    if held is None:
        return None
    stored = builder.info.splits
    divided = splits.whole(stored)
    labels = None
    with contextlib.suppress(tf.errors.OpError, OSError):  # reading the images tells what is wrong
        labels = np.concatenate(list(_labels(tfds, builder, divided, label_name, **_IN_ORDER))) if label_name else None
    count = stored[divided].num_examples
    rows = splits.rows(held, count, labels, brief(name))
    if rows is None:
        return None
    parts = tfds.core.ReadInstruction.from_spec(split).to_absolute(stored)  # slices
    ends = [
        (one.splitname, one.from_ or 0, stored[one.splitname].num_examples if one.to is None else one.to)
        for one in parts
    ]
    return np.concatenate([rows[a:b] if part == divided else np.ones(b - a, bool) for part, a, b in ends])


def _labels(tfds, builder, split, label_name, **order):
    """Yields the labels of a split, read without images."""
    import tensorflow as tf

    skipped = {name: tfds.decode.SkipDecoding() for name in _of_type(builder.info.features, tfds.features.Image, "")}
    config = tfds.ReadConfig(try_autocache=False, **order)
    with tf.device("CPU"):
        data = builder.as_dataset(split=split, shuffle_files=False, read_config=config, decoders=skipped)
        data = data.map(lambda row: row[label_name]).batch(_BATCH)
    yield from data.as_numpy_iterator()


def _occurring(tfds, builder, label_name, declared, split):
    """Returns the labels that occur in any split, in their order: read without images, until all have been seen.

    Labels below 0, which stand where a split has none, are not among them.
    """
    import tensorflow as tf

    seen: set[int] = set()
    try:
        for part in dict.fromkeys([split, *builder.info.splits]):
            for labels in _labels(tfds, builder, part, label_name):
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
        if len(shape) == 3 and shape[2] in (1, 3, 4) and dtype == np.uint8:
            return candidate, shape
    raise UsageError(
        f"{brief(name)} holds {plain(', '.join(features), 60)}; expected an image of uint8 and 1, 3 or 4 channels"
    )


def _label_feature(tfds, features):
    for candidate in _of_type(features, tfds.features.ClassLabel, "label"):
        return candidate, tuple(features[candidate].names or map(str, range(features[candidate].num_classes or 0)))
    return None, ()


def _split(info, split, name):
    """Returns the split as the library names it, and what of it: those that are held out, the others, or all."""
    if "[" in split or "+" in split or split == "all":
        with contextlib.suppress(ValueError, KeyError, AssertionError, NotImplementedError):
            _ = info.splits[split].num_examples
            return split, None if split == "all" or splits.whole(info.splits) is None else False
        raise UsageError(
            f"{brief(name)} has no split {brief(split, 40)}; expected slices of: {plain(', '.join(info.splits), 60)}"
        )
    part = splits.part(split, info.splits, name)
    return part.stored[0], part.held
