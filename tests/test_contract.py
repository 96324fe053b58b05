"""What every registered model must do. A model joins by a row in tiny.py."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import ROWS, batch_for, difference, everything, make, weights

import keras_gen
from keras_gen.callbacks import Checkpoint
from keras_gen.game.config import constructor_arguments
from keras_gen.registry import model_class

EVERY = pytest.mark.parametrize("row", ROWS)
# A residual network with second-order slopes takes a minute to compile; another row resumes R1, too.
BUT_THE_LARGEST = pytest.mark.parametrize(
    "row", [pytest.param(row, marks=pytest.mark.slow if row == "gan-resnet" else ()) for row in ROWS]
)
ONE_EACH = pytest.mark.parametrize("row", keras_gen.names())


def some(*rows):
    """Parametrizes with all models, of which those named represent the others where the test is not slow."""
    slow = {name: () if name in rows else pytest.mark.slow for name in keras_gen.names()}
    return pytest.mark.parametrize("row", [pytest.param(name, marks=marks) for name, marks in slow.items()])


# What a model settles for its parent.
SETTLED = {"stacked_autoencoder": {"architecture", "width"}}


def arguments_of(name):
    """Returns a constructor's arguments with their defaults; a GAN's only where it declares them itself, or resizes.

    What it passes on to `GAN` is tested in the rows of `GAN`.
    """
    cls = model_class(name)
    found, own = {}, {"ema", "seed"} if issubclass(cls, keras_gen.GAN) else None
    for base in reversed(cls.__mro__[:-1]):
        if issubclass(base, keras_gen.GenerativeModel):
            for parameter in inspect.signature(base.__init__).parameters.values():
                found[parameter.name] = parameter.default
                if own is not None and base not in (keras_gen.GAN, keras_gen.GenerativeModel):
                    own.add(parameter.name)
    named = set(constructor_arguments(cls)) - {"name", "dtype", "trainable"} - SETTLED.get(name, set())
    if own is not None and cls is not keras_gen.GAN:
        named &= own - {"ema"}
    return {argument: found[argument] for argument in named}


def test_every_model_has_a_row():
    assert {name for name, _ in ROWS.values()} == set(keras_gen.names())


@ONE_EACH
def test_rows_of_a_model_give_every_argument_a_value_other_than_the_default(row):
    given = {}
    for name, arguments in ROWS.values():
        if name == row:
            given |= arguments()
    for argument, default in arguments_of(row).items():
        assert argument in given, argument
        assert given[argument] is not default, argument


@some("acgan", "conditional_vae", "dcgan", "pixel_cnn", "stacked_autoencoder")
def test_fit_takes_what_keras_users_pass(row):
    model = make(row)
    batch = batch_for(model)
    image, label = (batch[name] for name in model.data_names)
    forms = [
        (image, label),
        (batch, None),
        (tf.data.Dataset.from_tensor_slices((image, label)).batch(8), None),
        (tf.data.Dataset.from_tensor_slices(batch).batch(8), None),
    ]
    if "label" not in model.expects():
        forms += [
            (image, None),
            (tf.data.Dataset.from_tensor_slices(image).batch(8), None),
            ((part for part in [image[:8], image[8:]]), None),
        ]
    for x, y in forms:
        history = model.fit(x, y, batch_size=8, epochs=1, verbose=0).history
        assert np.isfinite(history["loss"]).all()
    labelled = "label" in model.expects()
    held_out = (image[:8], label[:8]) if labelled else image[:8]
    history = model.fit(image, label if labelled else None, batch_size=8, verbose=0, validation_data=held_out).history
    assert {f"val_{name}" for name in history if not name.startswith("val_")} <= set(history)


@EVERY
def test_each_player_moves_all_of_its_own_variables_and_none_of_anothers(row):
    model = make(row)
    # These losses do not see what is added to all logits alike: the bias of the last layer may stay.
    flat = getattr(model, "adversarial", "") in ("wasserstein", "hinge")
    for mover in model.players():
        rates = {
            p.prefixed("optimizer"): keras.optimizers.SGD(1e-2 if p.name == mover.name else 0.0)
            for p in model.players()
        }
        model.compile(**rates)
        before = {v.path: np.asarray(v) for p in model.players() for v in p.variables}
        model.fit(batch_for(model), batch_size=16, epochs=2, verbose=0)
        for player in model.players():
            assert player.variables
            for variable in player.variables[: -1 if flat and player.name == "d" else None]:
                moved = (np.asarray(variable) != before[variable.path]).any()
                # A bias in front of a batch normalization would not move; no network of ours has one.
                assert moved == (player.name == mover.name), (mover.name, variable.path)


@EVERY
def test_every_argument_and_weight_survives_a_save_and_one_more_step_is_bit_equal(row, tmp_path):
    model = make(row)
    batch = batch_for(model)
    model.fit(batch, batch_size=8, verbose=0)
    model.save(tmp_path / "new" / "model.keras")
    again = keras_gen.load(tmp_path / "new" / "model.keras")
    assert type(again) is type(model)
    plain = {name: value for name, value in model.get_config().items() if not isinstance(value, dict)}
    assert {name: again.get_config()[name] for name in plain} == plain
    for argument, value in ROWS[row][1]().items():
        if argument not in ("generator", "discriminator", "encoder"):
            assert np.all(getattr(again, argument, value) == getattr(model, argument, value)), argument
    assert difference(weights(again), weights(model)) == 0
    assert np.array_equal(model.sample(5, seed=4), again.sample(5, seed=4))
    for one in (model, again):
        one.fit(batch, batch_size=8, epochs=1, verbose=0)
    assert difference(everything(model), everything(again)) == 0


@BUT_THE_LARGEST
def test_an_interrupted_fit_ends_bit_identical_to_an_uninterrupted_one(row, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.crash_in == 0:
                raise RuntimeError("crash")
            self.model.crash_in -= 1

    def fit(model, *callbacks):
        return model.fit(batch_for(model, 40), batch_size=8, epochs=3, verbose=0, callbacks=list(callbacks))

    whole = make(row)
    expected = fit(whole).history
    broken = make(row)
    broken.crash_in = 8  # in the second epoch, one step after a save
    with pytest.raises(RuntimeError, match="crash"):
        fit(broken, Checkpoint(tmp_path, every=None, every_steps=4), Crash())
    resumed = make(row)
    history = fit(resumed, Checkpoint(tmp_path, every=None, every_steps=4)).history
    assert difference(everything(whole), everything(resumed)) == 0
    assert history["loss"] == expected["loss"][1:]


@EVERY
def test_sampling_is_deterministic_by_seed(row):
    model = make(row, compiled=False)
    sample = model.sample(5, seed=0)
    if "token" in model.expects():
        assert sample.shape == (5, model.context) and sample.dtype == np.int32
        assert sample.min() >= 0 and sample.max() < model.vocabulary
    else:
        assert sample.shape == (5, *model.image_shape) and sample.dtype == np.float32
        assert np.abs(sample).max() <= 1
    assert np.array_equal(sample, model.sample(5, seed=0))
    assert not np.array_equal(sample, model.sample(5, seed=1))
    # Split into batches the sums in a matrix product may be ordered otherwise.
    np.testing.assert_allclose(sample, model.sample(5, seed=0, batch_size=2), atol=1e-5)


@EVERY
def test_evaluate_draws_the_same_numbers_every_time_and_moves_nothing(row):
    model = make(row)
    batch = batch_for(model)
    before = [np.asarray(v) for p in model.players() for n in p.networks for v in n.variables if "seed" not in v.path]
    first = model.evaluate(batch, batch_size=8, verbose=0, return_dict=True)
    assert first == model.evaluate(batch, batch_size=8, verbose=0, return_dict=True)
    after = [np.asarray(v) for p in model.players() for n in p.networks for v in n.variables if "seed" not in v.path]
    assert difference(before, after) == 0


@EVERY
def test_signatures_keep_their_contract(row):
    model = make(row, compiled=False)
    for signature in model.signatures().values():
        example = signature.example(3)
        assert set(example) == set(signature.inputs)
        outputs = signature.fn(**example)
        assert not set(outputs) & set(signature.inputs)
        for value in outputs.values():
            assert value.shape[0] == 3 and np.isfinite(value).all()
        assert all(f"{name}.law" in signature.meta for name in signature.inputs) or "sample" not in signature.meta


@EVERY
def test_every_signature_exports_to_both_formats_and_samples_alike(row, tmp_path):
    from export import onnx, tflite
    from keras_gen.signatures.exported import open_file

    model = make(row, compiled=False)
    onnx.export(model, tmp_path)
    tflite.export(model, tmp_path)
    assert {path.stem for path in tmp_path.glob("*.onnx")} == set(model.signatures())
    sampler = next((name for name, signature in model.signatures().items() if "sample" in signature.meta), None)
    if sampler is None:
        assert row.startswith("gpt"), "its loop is outside of the file: see test_gpt.py"
        return
    expected = model.sample(5, seed=7)
    for path in (tmp_path / f"{sampler}.onnx", tmp_path / "model.tflite"):
        np.testing.assert_allclose(open_file(path).sample(5, seed=7)["image"], expected, atol=1e-4)


@ONE_EACH
def test_mixed_float16_trains_every_player_and_exports_in_float32(row, tmp_path):
    _check_precision(row, "mixed_float16", tmp_path)


@some("bigan", "pixel_cnn", "sngan", "vae", "vq_vae", "wgan_gp")
def test_mixed_bfloat16_trains_every_player_and_exports_in_float32(row, tmp_path):
    _check_precision(row, "mixed_bfloat16", tmp_path)


def _check_precision(row, precision, tmp_path):
    model = make(row, dtype=precision)
    history = model.fit(batch_for(model), batch_size=8, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    scaled = [
        isinstance(getattr(model, p.prefixed("optimizer")), keras.optimizers.LossScaleOptimizer)
        for p in model.players()
    ]
    assert all(scaled) if precision == "mixed_float16" else not any(scaled)
    assert any(layer.compute_dtype != "float32" for layer in model._flatten_layers())
    twin = model.float32()
    assert all(layer.compute_dtype == "float32" for layer in twin._flatten_layers())
    assert difference([np.asarray(v) for v in twin.weights], [np.asarray(v) for v in model.weights]) == 0
    if model.density == "exact":  # what is drawn value by value differs wherever a draw is close
        example = model.signatures()["logits"].example(3)
        ours, theirs = (one.run("logits", **example)["logits"] for one in (twin, model))
        assert 0 < np.abs(ours - theirs).max() < 0.1 * np.ptp(ours)
    else:
        np.testing.assert_allclose(twin.sample(3), model.sample(3), atol=0.05)
    model.save(tmp_path / "model.keras")
    assert keras_gen.load(tmp_path / "model.keras").dtype_policy.name == precision


@ONE_EACH
def test_docstring_tells_arguments_source_and_deviations(row):
    text = inspect.getdoc(model_class(row))
    assert len(text.splitlines()[0]) <= 100
    for section in ("Args:", "Raises:", "Example:", "Reference:", "arXiv:", "Deviations:"):
        assert section in text, section
