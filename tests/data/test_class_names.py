"""Classes of data and of a model meet by their names: by number only where one side has none."""

import re
import warnings

import numpy as np
import pytest
from planted import Bug
from tiny import make

from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError
from keras_gen.metrics.evaluation import evaluate

BUGS = [
    Bug(
        "labels-by-number",
        "data/examples.py",
        'made.arrays = {**self.arrays, "label": number[self.arrays["label"]]}',
        "made.arrays = {**self.arrays}",
        ("test_labels_follow_the_names_of_a_model", "test_a_model_meets_data_by_the_names_of_their_classes"),
    )
]


def examples(classes, label=(0, 1, 1), digest="d"):
    return Examples({"label": np.array(label, np.int32)}, classes, "pets", digest)


def test_labels_follow_the_names_of_a_model(recwarn):
    made = examples(("cat", "dog")).labelled_as(("dog", "cat"))
    assert made.arrays["label"].tolist() == [1, 0, 0] and made.classes == ("dog", "cat") and made.digest != "d"
    for same in (examples(("cat", "dog")), examples(()), Examples({"image": np.zeros((1, 2, 2, 1))}, ("a",))):
        assert same.labelled_as(("cat", "dog") if same.classes != ("a",) else ("b",)) is same
    assert examples(("cat", "dog")).labelled_as(()).arrays["label"].tolist() == [0, 1, 1]
    assert not recwarn.list


@pytest.mark.parametrize(
    ("classes", "known", "label", "said"),
    [
        (("cat", "dog"), ("ant", "cat", "dog", "eel"), [1, 2, 2], "no image of 2 of the 4 classes .*: 'ant', 'eel'"),
        (("1", "2"), ("0", "1", "2"), [1, 2, 2], "no image of 1 of the 3 classes .*: '0'"),
        (("0", "1"), ("zero", "one"), [0, 1, 1], "by number only: .* 0 as 'zero'"),
        (("0", "2"), ("a", "b", "c"), [0, 2, 2], "no image of 1 of the 3 classes .*: 'b'"),
    ],
)
def test_what_a_set_does_not_hold_is_said(classes, known, label, said):
    with pytest.warns(UserWarning) as record:
        assert examples(classes).labelled_as(known).arrays["label"].tolist() == label
    assert [one for one in record if re.search(said, str(one.message))]


@pytest.mark.parametrize(
    ("classes", "known", "said"),
    [
        (("cat", "cow"), ("cat", "dog"), "pets holds the class 'cow', which the model does not know; it knows 'cat'"),
        (("0", "3"), ("1", "2"), "the classes '0', '3'"),  # both are numbers: 0 is not the first
        (("0", "2"), ("cat", "dog"), "the classes '0', '2'"),
        (("0", "cat"), ("cat", "dog"), "the class '0'"),
        (("one", "two"), ("1", "2"), "the classes 'one', 'two'"),
        (("a", "b"), ("a", "a"), "several classes of one name"),
    ],
)
def test_classes_that_a_model_does_not_know_are_refused(classes, known, said):
    with pytest.raises(UsageError, match=r"^[^\n]{0,199}$") as raised:
        examples(classes).labelled_as(known)
    assert said in str(raised.value)


def test_a_model_meets_data_by_the_names_of_their_classes():
    """Of data whose classes stand in another order, `fit`, its validation, `evaluate` and the figures are the same."""
    rng = np.random.default_rng(0)
    image, label = rng.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8), np.arange(40, dtype=np.int32) % 3
    sets = [Examples({"image": image, "label": label}, tuple("abc"), "s")]
    sets.append(Examples({"image": image, "label": 2 - label}, tuple("cba"), "s"))
    found = []
    for one in sets:
        model = make("conditional_vae", num_classes=3, class_names=list("abc"), image_shape=(8, 8, 1), seed=0)
        model.compile()
        data = one.dataset(20, 0)
        history = model.fit(data, validation_data=data, verbose=0).history
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figures = evaluate(model, one, one, n=20).metrics
        found.append([history["loss"][0], history["val_loss"][0], *model.evaluate(data, verbose=0)])
        found[-1] += [np.sum(model.get_weights()[0]), *figures.values()]
    np.testing.assert_array_equal(*found)
    with pytest.raises(UsageError, match="s holds the class 'd', which the model does not know"):
        model.fit(Examples({"image": image, "label": label}, tuple("abd"), "s").dataset(20), verbose=0)
