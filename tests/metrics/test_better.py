"""Which way is better: the table knows every figure that a model or a judge gives, and no other."""

import keras
import pytest
from tiny import batch_for, make, real_digits

import keras_gen
from keras_gen import data, metrics, recipes
from keras_gen.data.examples import Examples
from keras_gen.metrics.better import NEIGHBORS, OF_MODELS, OF_SAMPLES
from keras_gen.metrics.upscaling import BASELINES
from keras_gen.models.adversarial.style_based import StyleBased
from keras_gen.models.autoencoders.stacked_autoencoder import FEW

MODELS = [*keras_gen.names(), "gpt-text"]
GIVEN: dict[str, set[str]] = {}


def figures_of(name):
    """Returns the names of what `evaluate` takes from a model itself."""
    if name not in GIVEN:
        keras.utils.set_random_seed(0)
        model = make(name)
        batch = batch_for(model, 300)
        if name == "srgan" or isinstance(model, StyleBased):  # whose judge is trained on labels
            del batch["label"]
        if name == "srgan":
            GIVEN[name] = {f"{kind}_distance" for kind in ("upscaled", *BASELINES)}
        if name == "stacked_autoencoder":  # whose classifiers take two minutes
            del batch["label"]
            GIVEN[name] = {f"{kind}_{count}" for kind in ("pretrained", "random", "gain") for count in FEW}
        parts = [{key: value[part] for key, value in batch.items()} for part in (slice(200), slice(200, 300))]
        train, test = (Examples(part) for part in parts)
        GIVEN[name] = GIVEN.get(name, set()) | set(model.measures(train, test, seed=0))
        if model.density != "implicit" and "image" in model.expects():
            wanted = {key: parts[1][key] for key in model.expects()}
            GIVEN[name] |= {f"test_{loss}" for loss in model.evaluate(wanted, verbose=0, return_dict=True)}
    return GIVEN[name]


@pytest.mark.parametrize("name", MODELS)
def test_the_figures_of_a_model_are_in_the_table(name):
    assert figures_of(name) <= set(OF_MODELS)


def test_the_table_holds_no_other():
    found = set().union(*(figures_of(name) for name in MODELS))
    by_all = {"nll", "bits_per_dimension", "reconstruction_psnr", "reconstruction_ssim"}
    of_others = {"source_l1", "source_fd"}  # of as many channels in source and target: see test_translation
    of_kinds = ("looks_a", "looks_b", "fd_a", "fd_b", "outline_a", "outline_b", "kinds_accuracy")
    of_others |= {name for name in OF_MODELS if name.endswith((*of_kinds, "read_back", "read_back_iou", "eq_r"))}
    assert set(OF_MODELS) == found | by_all | of_others


def test_the_figures_of_a_judge_are_in_the_table(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_GEN_CACHE", str(tmp_path))
    judge = metrics.NeighborJudge.for_data(data.examples("digits", "train"), data.examples("digits", "test"))
    images, labels = real_digits(400)
    found = set(metrics.compare(judge, images[:200], images[200:], asked=labels[200:]))
    of_both = {"copies", "classifier_accuracy_score", "class_variance"}
    assert set(OF_SAMPLES) == found | of_both


def test_the_second_judge_s_figures_go_the_same_way():
    assert all(metrics.BETTER[f"{NEIGHBORS}{name}"] == direction for name, direction in OF_SAMPLES.items())
    assert set(metrics.BETTER.values()) == {"higher", "lower", None}
    assert metrics.better("fd") == "lower" and metrics.better("somebody's own") is None


def test_no_threshold_of_a_recipe_goes_the_other_way():
    signs = {"<=": "lower", ">=": "higher"}
    bounds = [
        recipes.thresholds(name, data) for name in recipes.names() for data in recipes.read(name).get("thresholds", ())
    ]
    assert len(bounds) > 20
    for bound in bounds:
        for name, (sign, _) in bound.items():
            assert metrics.better(name) in (signs[sign], None), name
