"""Text as data: tokenizers, windows, where texts come from, and the command line from a file to a continued prompt."""

import codecs
import itertools
import json
import math

import numpy as np
import pytest
from PIL import Image
from planted import Bug
from tiny import shared

import keras_gen
from keras_gen.cli.main import main
from keras_gen.data.examples import Windows
from keras_gen.errors import DamagedError, UsageError
from keras_gen.tokenizer import Tokenizer

TEXT = "It was the best of times, it was the worst of times.\n" * 40
SMALL = ("--set", "context=8", "--set", "width=8", "--set", "blocks=1", "--set", "heads=2", "--batch-size", "16")


@pytest.fixture
def path(tmp_path):
    (tmp_path / "tale.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "tale.txt"


@pytest.mark.parametrize("kind", ["characters", "bpe"])
def test_a_tokenizer_gives_back_what_it_was_given_also_from_its_state(kind):
    text = TEXT + "ünlikely characters: 😀\r\n\t  end"
    made = Tokenizer.learned(text, kind, size=300)
    again = Tokenizer(made.state)
    for one in (made, again):
        tokens = one.encode(text)
        assert tokens.dtype == np.int32 and tokens.min() >= 0 and tokens.max() < one.size
        assert one.decode(tokens) == text
    assert again.size == made.size == (300 if kind == "bpe" else len(set(text)))
    assert (len(made.encode(TEXT)) < 0.6 * len(TEXT)) == (kind == "bpe")


def test_bytes_know_every_character_and_characters_say_which_they_do_not():
    assert (pairs := Tokenizer.learned(TEXT, "bpe", 300)).decode(pairs.encode("ß😀")) == "ß😀"
    with pytest.raises(UsageError, match="'ß' is none of the"):
        Tokenizer.learned(TEXT).encode("beß")
    for state in ("", "{}", "[1]", '{"model": 1}'):
        with pytest.raises(DamagedError, match="tokenizer"):
            Tokenizer(state)
    for arguments in (("",), (TEXT, "words"), (TEXT, "bpe", 256)):
        with pytest.raises(UsageError):
            Tokenizer.learned(*arguments)


@pytest.mark.parametrize("kind", ["characters", "bpe"])
@pytest.mark.parametrize("wrong", [[-1], [0, 10_000], [0.5], [[0, -7]]], ids=str)
def test_a_token_that_does_not_exist_is_refused_and_not_counted_from_the_end(kind, wrong):
    tokenizer = Tokenizer.learned("to be or not to be", kind, 300)
    with pytest.raises(
        UsageError, match=rf"^token \S+ is out of range; expected whole numbers, 0 to {tokenizer.size - 1}$"
    ):
        tokenizer.decode(wrong)
    assert tokenizer.decode([]) == ""


def test_windows_are_rows_of_the_sequence_each_once_in_a_pass():
    token = np.arange(23)
    every = Windows(token, 5)
    assert len(every) == 19 and every.shapes() == {"token": (None, 5)}
    found = np.concatenate([batch["token"] for batch in every.dataset(4, seed=1).as_numpy_iterator()])
    assert (np.diff(found, axis=1) == 1).all() and sorted(found[:, 0]) == list(range(19)) != list(found[:, 0])
    apart = [batch["token"] for batch in Windows(token, 5, stride=4).dataset(3).as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(apart)[:, 0], [0, 4, 8, 12, 16])
    later = next(every.stream(4, seed=1, start=2).as_numpy_iterator())["token"]
    np.testing.assert_array_equal(later, found[8:12])
    with pytest.raises(UsageError, match="at least the 24"):
        Windows(token, 24)


def test_a_file_is_split_and_every_token_of_the_test_split_is_predicted_once(path):
    train, test = (keras_gen.data.windows(path, split, 9) for split in ("train", "test"))
    joined = train.tokenizer.decode(train.arrays["token"]) + test.tokenizer.decode(test.arrays["token"])
    assert joined == TEXT and len(train.arrays["token"]) == int(0.9 * len(TEXT))
    assert train.tokenizer.state == test.tokenizer.state
    rows = np.concatenate([batch["token"] for batch in test.dataset(7).as_numpy_iterator()])
    np.testing.assert_array_equal(rows[:, 1:].reshape(-1), test.arrays["token"][1 : 1 + 8 * len(rows)])
    data = keras_gen.data.load(path, batch_size=5, length=9)
    assert next(iter(data))["token"].shape == (5, 9) and data.examples.tokenizer.size == len(set(TEXT))


def test_docstrings_of_pythons_library_are_there_without_a_network():
    data = keras_gen.data.windows(length=33)
    text = data.tokenizer.decode(data.arrays["token"])
    assert len(text) > 500_000 and "Return" in text and text.isascii()
    assert data.digest == keras_gen.data.windows("docstrings", length=33).digest


def test_sets_of_text_of_tensorflow_datasets(tmp_path, monkeypatch):
    """Prepared as the library stores them, a set with splits and one without."""
    import tensorflow_datasets as library

    def rows(*texts):
        return ((index, {"text": text, "label": index % 2}) for index, text in enumerate(texts))

    features = library.features.FeaturesDict(
        {"label": library.features.ClassLabel(num_classes=2), "text": library.features.Text()}
    )
    keep = {"data_dir": tmp_path, "disable_shuffling": True}
    store = library.dataset_builders.store_as_tfds_dataset
    store("verses", "1.0.0", features, {"train": rows("It was the best.", "Of times."), "test": rows("Tïmes!")}, **keep)
    store("prose", "1.0.0", features, {"train": rows(TEXT)}, **keep)
    store("exam", "1.0.0", features, {"test": rows(TEXT)}, **keep)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    train, test = (keras_gen.data.windows("verses", split, 5) for split in ("train", "test"))
    assert train.tokenizer.decode(train.arrays["token"]) == "It was the best.\n\nOf times."
    assert test.tokenizer.decode(test.arrays["token"]) == "Tïmes!"
    data = keras_gen.data.load("prose", length=9, batch_size=4)
    assert data.examples.tokenizer.decode(data.examples.arrays["token"]) == TEXT[: int(0.9 * len(TEXT))]
    assert next(iter(data))["token"].shape == (4, 9)
    with pytest.raises(UsageError, match="exam.*test; expected one for training"):
        keras_gen.data.load("exam")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "gpt", "--data", "prose", "--steps", "1", *SMALL]) == 0


def test_what_is_no_text_is_said_in_one_line(tmp_path, path):
    (tmp_path / "latin.txt").write_bytes(b"na\xefve")
    (tmp_path / "empty.txt").write_text("")
    for name, error, said in (
        ("latin.txt", DamagedError, "not UTF-8"),
        ("empty.txt", UsageError, "empty"),
        ("absent.txt", UsageError, "cannot read"),
    ):
        with pytest.raises(error, match=said):
            keras_gen.data.windows(tmp_path / name)
    with pytest.raises(UsageError, match="expected at least 5000"):
        keras_gen.data.windows(path, length=5000)
    with pytest.raises(UsageError, match="length is 1"):
        keras_gen.data.windows(path, length=1)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_what_editors_and_systems_leave_in_a_file_is_no_text(tmp_path, encoding):
    mark = "\ufeff" if encoding.endswith("e") else ""
    (tmp_path / "a.txt").write_bytes((mark + TEXT.replace("\n", "\r\n")).encode(encoding))
    data = keras_gen.data.windows(tmp_path / "a.txt", length=9)
    assert data.tokenizer.state == Tokenizer.learned(TEXT).state
    assert data.tokenizer.decode(data.arrays["token"]) == TEXT[: int(0.9 * len(TEXT))]


def test_nul_is_left_out_and_said_and_files_that_are_full_of_it_are_refused(tmp_path, path):
    path.write_bytes(b"\0" + TEXT.encode().replace(b"best", b"be\0st") + b"\0\x1a")
    with pytest.warns(UserWarning, match="left out 42 NUL"):
        data = keras_gen.data.windows(path, length=9)
    assert data.tokenizer.state == Tokenizer.learned(TEXT).state
    path.write_bytes(TEXT.encode("utf-16-le"))
    with pytest.raises(DamagedError, match="tale.txt .*full of NUL, as UTF-16.*convert"):
        keras_gen.data.windows(path)


@pytest.mark.parametrize("order", ["le", "be"])
@pytest.mark.parametrize(
    "text",
    [
        "Широка страна моя родная, ",
        "العربية لغة جميلة ",
        "สวัสดีชาวโลก ",
        "क्या हाल है आपका ",
        "καλημέρα κόσμε ",
        "日本語の文章です。",
    ],
)
def test_other_scripts_in_utf_16_without_its_mark_are_refused_and_with_it_read(tmp_path, path, text, order):
    text *= 40
    path.write_bytes(text.encode(f"utf-16-{order}"))
    with pytest.raises(DamagedError, match="tale.txt.* is not UTF-8: .*convert it$"):
        keras_gen.data.windows(path, length=9)
    path.write_bytes(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
    found = keras_gen.data.windows(path, "all", length=9)
    assert found.tokenizer.decode(found.arrays["token"]) == text
    path.write_text("one\ttwo\x1b[0m\n3\b3\n" * 40)
    keras_gen.data.windows(path, length=9)


def test_links_of_texts_that_lead_nowhere_are_said(tmp_path):
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "b.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.warns(UserWarning, match="left out 1 link that leads to no file: b.txt$"):
        keras_gen.data.windows(tmp_path, length=9)


def test_splits_of_texts_beside_other_files_are_read_and_the_rest_is_said(tmp_path):
    for name in ("train", "test", "notes"):
        (tmp_path / f"{name}.txt").write_text(f"{name[:2]}{name[:2]} " * 40)
    with pytest.warns(UserWarning, match="has test and train: left out 1 other files, such as notes.txt"):
        found = keras_gen.data.windows(tmp_path, "train", length=9)
    assert set(found.tokenizer.decode(found.arrays["token"])) == set("tr ")


def test_every_character_has_a_token_also_nul():
    text = "a\0b\0\0" + "".join(map(chr, range(1, 33))) + "\x7f\x85\u2028\ufeff"
    made = Tokenizer.learned(text)
    assert made.decode(made.encode(text)) == text and made.decode(made.encode("\0")) == "\0"
    for wrong in (-1, made.size):
        with pytest.raises(UsageError, match=f"token {wrong} is out of range"):
            made.decode([0, wrong])


def test_several_files_and_folders_of_texts(tmp_path, monkeypatch):
    (tmp_path / "books" / "more").mkdir(parents=True)
    one, two = "abc " * 50, "xyz " * 50
    for name, text in (("one.txt", one), ("more/TWO.TXT", two), (".hidden.txt", "no"), ("Thumbs.db", "no")):
        (tmp_path / "books" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    expected = {"train": f"{two[:180]}\n\n{one[:180]}", "test": f"{two[180:]}\n\n{one[180:]}"}
    forms = ["books", tmp_path / "books", "books/more/TWO.TXT,books/one.txt", ["books/more/TWO.TXT", "books/one.txt"]]
    for data in forms:
        for split, text in expected.items():
            found = keras_gen.data.load(data, split, length=9).examples
            assert found.tokenizer.decode(found.arrays["token"]) == text
    (tmp_path / "books" / "notes.md").write_text("no")
    with pytest.warns(UserWarning, match=r"left out 1 file \(1 .md\)"):
        keras_gen.data.load("books", length=9)
    (tmp_path / "split" / "train").mkdir(parents=True)
    (tmp_path / "split" / "train" / "a.txt").write_text(one)
    (tmp_path / "split" / "test.txt").write_text(two)
    found = keras_gen.data.windows("split", "test", 9)
    assert found.tokenizer.decode(found.arrays["token"]) == two and found.tokenizer.size == 7
    for name in ("bad", "worse"):
        (tmp_path / "books" / f"{name}.txt").write_bytes(b"\xff")
    with pytest.raises(DamagedError, match="bad.txt is not UTF-8: byte 0 and 1 more: worse.txt; convert them"):
        keras_gen.data.load("books")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no .txt files"):
        keras_gen.data.windows("empty")
    assert main(["train", "gpt", "--data", "books/one.txt,books/more/TWO.TXT", "--steps", "1", *SMALL]) == 0
    assert main(["train", "gpt", "--data", "books/one.txt,books/on.txt", "--steps", "1", *SMALL]) == 2


def test_from_a_file_to_a_continued_prompt(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "gpt", "--data", str(path), "--steps", "6", *SMALL]) == 0
    assert "rows of 9 tokens" in capsys.readouterr().out
    card = json.loads((tmp_path / "saved_models/gpt/card.json").read_text())
    assert card["data"]["token_shape"] == [9] and card["identity"]["configuration"]["vocabulary"] == len(set(TEXT))
    assert (tmp_path / "saved_models/gpt/samples.txt").read_text().strip()
    assert main(["train", "gpt", "--data", str(path), "--steps", "8", *SMALL]) == 0  # the same run goes on
    assert "going on from step 6" in capsys.readouterr().out

    model = keras_gen.load("gpt")
    assert main(["sample", "gpt", "--prompt", "It", "--set", "length=30", "--set", "top_k=3", "--seed", "2"]) == 0
    assert capsys.readouterr().out == model.generate("It", 30, seed=2, top_k=3)[0] + "\n"
    for suffix in ("txt", "json", "png"):
        assert main(["sample", "gpt", "-n", "2", "--prompt", "It", "--set", "length=30", "-o", f"x.{suffix}"]) == 0
    both = model.generate("It", 30, n=2)
    assert json.loads((tmp_path / "x.json").read_text()) == both
    assert all(text in (tmp_path / "x.txt").read_text() for text in both)
    with Image.open(tmp_path / "x.png") as picture:
        assert 0.001 < (np.asarray(picture.convert("L")) < 100).mean() < 0.2

    capsys.readouterr()
    assert main(["evaluate", "gpt"]) == 0
    found = json.loads((tmp_path / "saved_models/gpt/evaluation.json").read_text())["metrics"]
    assert found["perplexity"] == pytest.approx(np.exp(found["nats_per_token"]))
    assert found["nats_per_character"] == pytest.approx(found["nats_per_token"])
    for wrong, said in (
        ("-o x.npz", "give x.txt"),
        ("--set prompt=It", "there is --prompt"),
        ("--set label=1", "--label"),
    ):
        assert main(["sample", "gpt", *wrong.split()]) != 0 and said in capsys.readouterr().err
    with pytest.raises(UsageError, match="'token' has shape .*, 8.*; give rows of that length or set context"):
        model.log_prob(np.zeros((2, 8), np.int32))


@pytest.mark.slow
def test_fine_tuning_keeps_the_tokenizer_and_begins_with_the_weights(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pairs = ("--set", "tokenizer=bpe", "--set", "vocabulary=280")
    assert main(["train", "gpt", "--data", str(path), "--steps", "2", *SMALL, *pairs]) == 0
    (tmp_path / "other.txt").write_text("Call me Ishmael. 😀 " * 60)
    more = ("--data", "other.txt", "--init-from", "gpt", "--output", "tuned", "--learning-rate", "0")
    assert main(["train", "gpt", *more, "--steps", "1", *SMALL]) == 0
    first, tuned = keras_gen.load("gpt"), keras_gen.load("tuned")
    assert first.tokenizer == tuned.tokenizer and first.vocabulary == tuned.vocabulary > 257
    for ours, theirs in zip(first.get_weights(), tuned.get_weights(), strict=True):
        if ours.ndim > 1:
            np.testing.assert_array_equal(ours, theirs)


def test_shakespeare_is_what_its_readme_says():
    data = keras_gen.data.windows(shared("tinyshakespeare.txt"))
    assert data.tokenizer.size == 65 and len(data.arrays["token"]) == 1_003_854


def test_tables_of_characters_are_laws_and_know_what_they_have_counted(path, capsys):
    import ngrams

    pairs = ["".join(pair) for pair in itertools.product("abc", repeat=2)]
    for n in range(3):
        laws = [math.exp(-2 * ngrams.losses("abacabab", pair, 3, 2)[n]) for pair in pairs]
        assert sum(laws) == pytest.approx(1)
    # After a: b three times, c once; two kinds. Of single characters: a four times, b three, c once; three kinds.
    single = (3 + 3 * (1 / 3)) / (8 + 3)
    after = (3 + 2 * single) / (4 + 2)
    start = (4 + 3 * (1 / 3)) / (8 + 3)
    assert ngrams.losses("abacabab", "ab", 3, 2)[2] == pytest.approx(-0.5 * math.log(start * after))
    ngrams.main(["--data", str(path), "--longest", "5"])
    nats = [float(line.split()[-4]) for line in capsys.readouterr().out.splitlines()[1:]]
    assert len(nats) == 6 and nats[0] > nats[1] > nats[2] > nats[5]


def test_images_are_refused_where_text_is_wanted_and_the_reverse(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "gpt", "--channels", "1", "--steps", "1"]) != 0
    assert "takes text" in capsys.readouterr().err
    assert main(["train", "gpt", "--set", "start=True", "--steps", "1"]) != 0
    assert "have a beginning" in capsys.readouterr().err
    assert main(["train", "dcgan", "--data", "docstrings", "--steps", "1"]) != 0


BUGS = (
    Bug(
        "windows: rows of the test split overlap",
        "data/texts.py",
        'stride = 1 if chosen in ("train", "all") else length - 1',
        'stride = 1 if chosen in ("train", "all") else length // 2',
        ("test_a_file_is_split_and_every_token_of_the_test_split_is_predicted_once",),
    ),
    Bug(
        "fine-tuning: a tokenizer of its own",
        "cli/settings.py",
        "return Tokenizer(old) if old else texts.tokenizer_for",
        "return texts.tokenizer_for",
        ("test_fine_tuning_keeps_the_tokenizer_and_begins_with_the_weights",),
    ),
)
