"""Sheets of images: where there is no image there is paper, and words stand beside rows and above columns."""

import numpy as np
import pytest

from keras_gen import images

RNG = np.random.default_rng(0)


def some(count, channels=1):
    return RNG.uniform(-1, 0.5, (count, 4, 5, channels)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("count", "columns", "padding"), [(9, None, 1), (6, 3, 2), (4, 4, 0), (1, None, 2)])
def test_a_full_grid_is_images_between_black_lines(count, columns, padding, channels):
    given = some(count, channels)
    sheet = images.grid(given, columns, padding)
    columns = columns or round(count**0.5)
    wanted = np.zeros((count // columns * (4 + padding), columns * (5 + padding), channels), np.uint8)
    for index, image in enumerate(images.to_uint8(given)):
        top, left = index // columns * (4 + padding), index % columns * (5 + padding)
        wanted[top : top + 4, left : left + 5] = image
    np.testing.assert_array_equal(sheet, wanted[: wanted.shape[0] - padding, : wanted.shape[1] - padding])


def test_a_place_without_an_image_is_white_to_the_edge():
    given = some(8)
    sheet, whole = images.grid(given, padding=2), images.grid(np.concatenate([given, some(1)]), padding=2)
    assert sheet.shape == whole.shape == (16, 19, 1)
    assert (sheet[10:, 12:] == 255).all()
    empty = np.zeros(sheet.shape, bool)
    empty[10:, 12:] = True
    np.testing.assert_array_equal(sheet[~empty], whole[~empty])


def test_an_image_of_nan_leaves_its_place_empty_and_touches_no_other():
    given = some(9)
    whole = images.grid(given, padding=2)
    given[4] = np.nan
    sheet = images.grid(given, padding=2)
    assert (sheet[4:12, 5:14] == 255).all()
    empty = np.zeros(sheet.shape, bool)
    empty[4:12, 5:14] = True
    np.testing.assert_array_equal(sheet[~empty], whole[~empty])


@pytest.mark.parametrize("channels", [1, 3])
def test_words_stand_at_the_left_and_above_and_the_sheet_is_as_it_was(channels):
    sheet = images.enlarged(images.grid(some(6, channels), 3, padding=2), 200)
    height, width, _ = sheet.shape
    out = images.labelled(sheet, ["first", ""], ["", "", "last"], padding=20)
    assert out.dtype == np.uint8 and out.shape[2] == channels
    np.testing.assert_array_equal(out[-height:, -width:], sheet)
    top, left = out.shape[0] - height, out.shape[1] - width
    beside, above = out[top:, :left] < 128, out[:top, left:] < 128
    assert beside[: height // 2].any() and not beside[height // 2 :].any(), "the first row has a text, the second none"
    assert above[:, 2 * width // 3 :].any() and not above[:, : 2 * width // 3].any()
    assert not (out[:top, :left] < 255).any()


def test_without_words_a_sheet_stays_as_it_is():
    sheet = images.grid(some(4))
    np.testing.assert_array_equal(images.labelled(sheet), sheet)
    assert images.labelled(sheet, ["a", ""], ["", ""]).shape[0] == sheet.shape[0]


def test_lines_that_do_not_fit_are_left_out():
    sheet = np.zeros((40, 30, 1), np.uint8)
    one, two = (images.labelled(sheet, [text, ""]) for text in ("up", "up\nup"))
    np.testing.assert_array_equal(one, two)
    assert (images.labelled(np.zeros((80, 30, 1), np.uint8), ["up\nup", ""])[:40, :10] < 128).any()
