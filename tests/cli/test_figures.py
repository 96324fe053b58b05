"""What `evaluate` and `benchmark` print: digits that mean something, arrows, a block for each judge."""

import io
import json
import math
import re
import sys

import pytest
from tiny import make

import keras_gen
from keras_gen.cli import benchmark, evaluate, figures
from keras_gen.metrics import evaluation as evaluation_module
from keras_gen.metrics.evaluation import Evaluation

JUDGES = [
    {"kind": "cnn", "features": 128, "digest": "b198594a77", "accuracy": 0.93919},
    {"kind": "neighbors", "features": 32, "digest": "0bdee0f9ab", "accuracy": 0.88851},
]
RUNG = {"fd": 9.3127, "precision": 0.99324, "recall": 0.98649, "density": 1.0743, "coverage": 0.98986}


def evaluation(n=148, ladder=True, **own):
    of_samples = {"fd": 94.83512, "kid": 0.0612345, "kid_std": 1.4211e-14, "precision": 0.6351351}
    values = of_samples | {f"neighbors_{name}": value for name, value in of_samples.items()} | own
    protocol = {"data": "digits", "n_real": n, "n_fake": n, "seed": 0, "judges": JUDGES}
    rungs = {name: RUNG | {"class_entropy": 2.29} for name in ("real", "9 of 10 classes")}
    return Evaluation(values, protocol, rungs if ladder else {})


@pytest.mark.parametrize(
    ("value", "digits", "wanted"),
    [
        (1.4211e-14, 2, "0"),
        (0, 3, "0"),
        (-2e-7, 2, "0"),
        (94.83512, 2, "95"),
        (94.83512, 3, "94.8"),
        (0.0612345, 2, "0.061"),
        (0.99951, 3, "1.00"),
        (9.96, 2, "10"),
        (12345.6, 2, "12346"),
        (-0.1234, 2, "-0.12"),
        (5e-5, 2, "0.000050"),
        (math.inf, 2, "inf"),
        (math.nan, 2, "nan"),
    ],
)
def test_numbers_have_the_digits_that_are_asked_for(value, digits, wanted):
    assert figures.number(value, digits) == wanted


def test_figures_of_pixels_stand_in_no_judge_s_block():
    found = evaluation(classifier_accuracy_score=0.5312, class_variance=1.01)
    found.protocol["classifier_accuracy_of_real"] = 0.8534
    lines = evaluate.table(found)
    at = lines.index("on pixels, without a judge; as many real images score 0.85")
    assert [line.split() for line in lines[at + 1 : at + 3]] == [
        ["classifier_accuracy_score", "↑", "0.53"],
        ["class_variance", "1.0"],
    ]


def test_without_labels_one_judge_is_left():
    values = {"neighbors_fd": 3.21, "copies": 0.01}
    judge = JUDGES[1] | {"accuracy": None}
    protocol = {"data": "photographs", "n_real": 2000, "n_fake": 2000, "seed": 0, "judges": [judge]}
    lines = evaluate.table(Evaluation(values, protocol, {"real": RUNG}))
    at = next(k for k, line in enumerate(lines) if line.startswith("by the judge neighbors 0bdee0f9, which needs no"))
    assert [line.split() for line in lines[at + 1 : at + 3]] == [
        ["neighbors_fd", "↓", "3.21"],
        ["copies", "↓", "0.0100"],
    ]
    assert "the judge neighbors on real images" in " ".join(lines)


@pytest.mark.parametrize(
    ("split", "data", "said"),
    [
        ("all", "digits", True),
        ("test", "digits", True),
        ("train+test", "digits", True),
        ("train", "digits", False),
        ("training", "digits", False),
        ("train[:10%]", "digits", False),
        ("all", "others", False),
    ],
)
def test_test_images_that_a_run_was_trained_on_are_said(split, data, said, tmp_path, monkeypatch):
    """Of the run's own data; whether others overlap with what it has seen is not known."""
    made = make("vae")
    made.save(tmp_path / "model.keras")
    (tmp_path / "card.json").write_text(json.dumps({"settings": {"data": data, "split": split}}))
    monkeypatch.setattr(evaluation_module, "evaluate", lambda *_: evaluation())
    found = evaluate.evaluated(tmp_path / "model.keras", "digits", 100, 0)
    assert found.protocol.get("trained_on") == (split if said else None)
    assert any(f"trained on the split '{split}'" in line for line in evaluate.table(found)) == said


@pytest.mark.parametrize("now", [True, False])
def test_a_run_on_another_part_of_the_same_data_is_said(now, tmp_path, monkeypatch):
    """As runs of before, which trained on what is held out now."""
    make("vae").save(tmp_path / "model.keras")
    card = {"settings": {"data": "digits", "split": "train"}}
    card["data"] = {"digest": keras_gen.data.examples("digits").digest if now else "0" * 64}
    (tmp_path / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr(evaluation_module, "evaluate", lambda *_: evaluation())
    lines = evaluate.table(evaluate.evaluated(tmp_path / "model.keras", "digits", 100, 0))
    assert any("trained on another content or part of these data" in line for line in lines) != now


def test_bits_are_said_to_be_of_so_many_levels():
    found = evaluation(bits_per_dimension=6.9)
    assert "of the model itself" in evaluate.table(found)
    found.protocol["levels"] = 256
    assert "of the model itself; bits are of pixels of 256 levels" in evaluate.table(found)


def test_each_judge_has_a_block_and_the_model_one():
    lines = evaluate.table(evaluation(nll=24.1234, mse_01=0.012345, made_up=3.0))
    starts = [index for index, line in enumerate(lines) if not line]
    first, second, own, ladder = (lines[at + 1 :] for at in starts)
    assert "cnn b198594a, right on 93.9 %" in first[0] and "neighbors 0bdee0f9, right on 88.9 %" in second[0]
    assert [line.split() for line in first[1:5]] == [
        ["fd", "↓", "95"],
        ["kid", "↓", "0.061"],
        ["kid_std", "0"],
        ["precision", "↑", "0.64"],
    ]
    assert [line.split()[0] for line in second[1:5]] == [f"neighbors_{line.split()[0]}" for line in first[1:5]]
    assert [line.split() for line in own[1:4]] == [["nll", "↓", "24"], ["mse_01", "↓", "0.012"], ["made_up", "3.0"]]
    assert ladder[1].split()[:2] == ["fd", "precision"] and ladder[2].split()[:3] == ["real", "9.3", "0.99"]


@pytest.mark.parametrize(("n", "few", "fd"), [(148, True, "95"), (999, True, "95"), (1000, False, "94.8")])
def test_few_samples_are_said_to_be_few(n, few, fd):
    text = "\n".join(evaluate.table(evaluation(n)))
    assert (f"{n} samples are few" in text) == few
    assert f"↓ {fd}\n" in text


def test_of_text_the_model_s_own_figures_are_all():
    protocol = {"data": "plays", "split": "test", "n_real": 12, "seed": 0, "judges": []}
    lines = evaluate.table(Evaluation({"nats_per_token": 1.91345, "perplexity": 6.7765}, protocol, {}))
    assert lines[0].startswith("12 test rows of plays") and not any("few" in line for line in lines)
    assert [line.split() for line in lines[-2:]] == [["nats_per_token", "↓", "1.91"], ["perplexity", "6.78"]]


@pytest.mark.parametrize("width", [120, 80, 50, 40])
def test_lines_fit_a_terminal(width):
    found = evaluation(nll=24.1234)
    lines, whole = evaluate.table(found, width), " ".join(evaluate.table(found)).split()
    assert max(map(len, lines)) <= width
    cut = [line for line in lines if line == "  (more columns in a wider terminal)"]
    assert bool(cut) == (width < 80)
    assert {word for line in lines for word in line.split()} <= {*whole, *" ".join(cut).split()}, "whole words"


def test_where_arrows_cannot_be_written_others_stand_for_them(monkeypatch):
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    lines = evaluate.table(evaluation())
    print("\n".join(lines), flush=True)
    text = ascii_only.buffer.getvalue().decode("ascii")
    assert "^ higher is better, v lower is better" in text
    assert re.search(r"fd +v +95\n", text) and re.search(r"precision +\^ +0\.64\n", text)


def test_points_stand_below_each_other():
    lines = figures.lines({"fd": 94.8, "kid": 0.061, "nll": -3.25, "bits": 1234.0})
    ends = [re.search(r"-?\d+(?=\.|$)", line).end() for line in lines]
    assert len(set(ends)) == 1


def test_a_benchmark_writes_medians_by_the_same_function_and_says_what_is_missed():
    spread = {"median": 1.23456, "min": 1.0, "max": 12.3456}
    result = {
        "metrics": {
            "fd": spread,
            "coverage": {"median": 0.81234, "min": 0.8, "max": 0.9},
            "kid_std": dict.fromkeys(spread, 0),
        },
        "thresholds": {"fd": ["<=", 1.2], "coverage": [">=", 0.8]},
        "protocol": {"n_real": 5000, "judges": JUDGES},
        "seeds": 3,
    }
    title, *lines = benchmark.table(result)
    assert "median of 3 seeds" in title
    assert [re.sub(" +", " ", line).strip() for line in lines] == [
        "fd ↓ 1.23 (1.00 to 12.3) expected <= 1.2: missed",
        "coverage ↑ 0.812 (0.800 to 0.900) expected >= 0.8",
        "kid_std 0 (0 to 0)",
    ]
