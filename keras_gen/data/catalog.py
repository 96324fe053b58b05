"""From a name or a path to examples."""

import os
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_gen.data import classes, digits, folder, formats, npz, ranges, resize, store, texts, tfds, tree
from keras_gen.data.examples import Examples
from keras_gen.data.messages import brief, canonical, notice, plain
from keras_gen.errors import UsageError
from keras_gen.files import sets
from keras_gen.files.writing import shown


def load(
    name_or_path: texts.Data = "digits",
    split: str = "train",
    *,
    batch_size: int = 64,
    seed: int = 0,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    range: tuple[float, float] | None = None,
    skip_damaged: bool = False,
    shuffle: bool | None = None,
    drop_remainder: bool = False,
    length: int = texts.LENGTH,
    tokenizer: Any = "characters",
) -> tf.data.Dataset:
    """Loads one epoch of a data set in batches.

    Args:
        name_or_path: `"digits"`, the name of a tensorflow-datasets set (`"mnist"`, `"celeb_a"`, `"mnist:3.*.*"`), an
            `.npz` file with `x_train` (and `y_train`, `x_test`, `y_test`; or `train_images`, `X_train`, `images`,
            `arr_0`, ...), an `.npy` file, a folder of images (png, jpeg, gif, webp, bmp, tiff, ppm, avif, by their
            content), a zip of such a folder, or one image. Or text: a `.txt` file, a list or a folder of them,
            `"docstrings"`, or a tensorflow-datasets set of text and no images.
        split: `"train"`, `"validation"` or `"test"`, or `"all"`: every example; a tensorflow-datasets set also takes
            slices (`"train[:10%]"`). Where a set has no test split, a tenth is held out as one: at random, of each
            class its share, and always the same; of text the last tenth.
        batch_size: images in a batch.
        seed: of the order, when shuffled.
        image_size: side, or (height, width), in pixels: the center of each image is cropped to that aspect ratio and
            resampled. None keeps the data's own size; images of several sizes become 64x64.
        channels: 1 (grey), 3 (RGB) or 4 (RGB and opacity); None keeps the data's own, of pictures on white. With 4,
            colors are white where nothing is seen: those that files hide there are noise.
        range: (lowest, highest) of the stored values of images, which become black and white; None leaves it to their
            type and values. Of files and folders.
        skip_damaged: leave damaged files of a folder or a zip out, and say which, where they are an error otherwise.
        shuffle: whether to shuffle; by default the train split, and all.
        drop_remainder: leave out the last batch when it is not full.
        length: of text, tokens in a row.
        tokenizer: of text: `"characters"`, `"bpe"` or a `keras_gen.tokenizer.Tokenizer`.

    Returns:
        A `tf.data.Dataset` of dicts: `image`, float32 (batch, height, width, channels) in [-1, 1], and `label`, int32
        (batch,), where the set has labels; of text, `token`, int32 (batch, length). It remembers its `Examples` as
        `.examples`.

    Raises:
        UsageError: no such set, split or size.
        DamagedError: the data cannot be used: an unreadable file, NaN, negative labels.

    Example:
        ```python
        dataset = keras_gen.data.load("digits", batch_size=32)
        ```
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UsageError(f"batch_size is {brief(batch_size, 30)}; expected a whole number of at least 1")
    if texts.is_text(name_or_path):
        if range is not None:
            raise UsageError(f"range={brief(range, 30)} is of images, and {brief(name_or_path)} is text; leave it out")
        found = texts.windows(name_or_path, split, length, tokenizer)
    else:
        found = examples(
            name_or_path, split, image_size=image_size, channels=channels, range=range, skip_damaged=skip_damaged
        )
    if shuffle is None:
        shuffle = split.startswith("train") or canonical(split) == "all"
    return found.dataset(batch_size, seed if shuffle else None, drop_remainder)


def examples(
    name_or_path: str | os.PathLike = "digits",
    split: str = "train",
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    range: tuple[float, float] | None = None,
    skip_damaged: bool = False,
) -> Examples:
    """Reads one split of a data set.

    Args:
        name_or_path: as for `load`.
        split: as for `load`.
        image_size: as for `load`.
        channels: as for `load`.
        range: as for `load`.
        skip_damaged: as for `load`.

    Returns:
        The examples: `image`, uint8 or (from floats) float32 in [-1, 1], and `label`, int32, where there are labels;
        with the names of the classes, which are those that occur in any split, and the digest of the content. Images of
        more than 1 GiB are mapped from a file in the folder `KERAS_GEN_CACHE` (default `~/.cache/keras_gen`).

    Raises:
        UsageError: no such set, split or size.
        DamagedError: the data cannot be used.
    """
    size, channels = resize.request(image_size, channels)
    if not isinstance(split, str):
        raise UsageError(f"split is {brief(split, 30)}; expected a name such as 'train' or 'test'")
    how = resize.Reading(ranges.request(range), bool(skip_damaged))
    source = _source(name_or_path, split, size, channels, how)
    if how.range and "range" not in source.key:
        raise UsageError(f"range {how.range} was given, and {brief(source.name)} holds 0 to 255; leave it out")
    found = store.gather(source)
    found.held = source.held
    if "label" in found.arrays and split.startswith("train"):
        classes.tell_empty(found.name, found.classes, found.arrays["label"])
    return found


def _source(name_or_path, split, size, channels, how) -> resize.Source:
    if not isinstance(name_or_path, (str, os.PathLike)) or not str(name_or_path):
        raise UsageError(f"data is {brief(name_or_path, 30)}; expected 'digits', a name, an .npz file or a folder")
    text = os.fspath(name_or_path)
    if text == digits.NAME:
        return digits.source(split, size, channels)
    path = Path(text).expanduser()
    bare = (
        isinstance(name_or_path, str) and "/" not in text and os.sep not in text and path.suffix not in (".npz", ".npy")
    )
    if bare and tfds.knows(text):
        if path.is_dir():
            notice(f"{text!r} is read from tensorflow-datasets; './{text}' is the folder")
        return tfds.source(text, split, size, channels)
    try:
        if path.is_dir():
            if (path / "dataset_info.json").is_file():
                return tfds.source_in(path, split, size, channels)
            return folder.source(path, split, size, channels, how)
        if path.is_file() and (_is_picture(path) or tree.is_zip(path)):
            return folder.source(path, split, size, channels, how)
        if path.exists():
            return npz.source(path, split, size, channels, how.range)
    except OSError as error:
        raise UsageError(
            f"cannot read {shown(path)}: {plain(error.strerror, 40)}; expected an .npz, a zip or a folder"
        ) from error
    if not isinstance(name_or_path, str) or path.suffix in (".npz", ".npy") or not sets.NAME.fullmatch(text):
        raise sets.missing(path)
    if tfds.knows(text):
        return tfds.source(text, split, size, channels)
    if not bare:
        raise sets.missing(path)
    raise sets.unknown(text)


def _is_picture(path):
    with open(path, "rb") as file:
        return formats.format_of(file.read(formats.HEAD), path.suffix) or formats.claims(path)
