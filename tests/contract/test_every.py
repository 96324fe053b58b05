"""What every registered model must do. A model joins by rows in its own test module.

The tests of a row follow one another and share one model, which has been trained for two steps: what takes long is to
compile it. So each test takes the model as the former one left it.
"""

import collect
import keras
import numpy as np
import pytest
from tiny import batch_for, difference, everything, given, make, weights

import keras_gen
from export import onnx
from keras_gen.callbacks import GANHealth
from keras_gen.errors import UsageError
from keras_gen.game.forms import Wanted
from keras_gen.signatures.exported import open_file
from keras_gen.signatures.law import count_of, given_of, law_of


def marked(row):
    """The first row of a model is of the default suite; others, of other networks, are slow."""
    return pytest.param(row, marks=() if row == collect.row(row)[0] else pytest.mark.slow)


@pytest.fixture(scope="module", params=[marked(row) for row in collect.rows()])
def row(request):
    return request.param


@pytest.fixture(scope="module")
def trained(row):
    """A model of the row after one `fit` of two steps, and the history."""
    model = make(row)
    return model, model.fit(batch_for(model), batch_size=8, verbose=0).history


@pytest.fixture
def model(trained):
    return trained[0]


def test_fit_gives_the_loss_of_every_player_and_of_every_term(trained):
    model, history = trained
    expected = {"loss"}
    for player in model.players():
        expected |= {player.prefixed("loss"), *map(player.prefixed, player.terms)}
    assert expected == set(history)
    assert all(np.isfinite(values).all() and len(values) == 1 for values in history.values())


@pytest.fixture
def resting(model):
    """Gives a function that lets all players but one rest: with a rate of 0, for which nothing is compiled anew."""
    players = model.players() if len(model.players()) > 1 else ()
    optimizers = {player.name: getattr(model, player.prefixed("optimizer")) for player in players}
    rates = {name: float(optimizer.learning_rate) for name, optimizer in optimizers.items()}

    def rest(but):
        for name in optimizers:
            optimizers[name].learning_rate = 1e-2 if name == but else 0.0

    yield rest
    for name, rate in rates.items():
        optimizers[name].learning_rate = rate


def test_each_player_moves_all_of_its_own_variables_and_none_of_anothers(model, resting):
    # These losses do not see what is added to all logits alike: the bias of the last layer may stay.
    flat = getattr(model, "adversarial", "") in ("wasserstein", "hinge") or "upscale" in model.signatures()
    for mover in model.players():
        resting(but=mover.name)
        before = {v.path: np.asarray(v) for p in model.players() for v in p.variables}
        model.fit(batch_for(model), batch_size=8, verbose=0)
        for player in model.players():
            assert player.variables
            for variable in player.variables:
                if flat and player.name == "d" and tuple(variable.shape) == (1,):
                    continue
                moved = (np.asarray(variable) != before[variable.path]).any()
                # A bias in front of a batch normalization would not move; no network of ours has one.
                assert moved == (player.name == mover.name), (mover.name, variable.path)


def test_a_target_and_a_name_that_nothing_reads_are_refused_and_never_dropped(model):
    batch, wanted = batch_for(model), Wanted(model)
    first, second = model.data_names
    if second != "label" and second in wanted.must:  # pairs of two kinds: both have their names
        with pytest.raises(UsageError, match="reads no 'weight'"):
            wanted.take({**batch, "weight": np.ones(16, np.float32)})
        assert np.array_equal(wanted.take((batch[first], batch[second]))[second], batch[second])
        return
    x, y = batch[first], np.roll(batch[first], 1, axis=0)
    label = {"label": batch["label"]} if "label" in model.expects() else {}
    with pytest.raises(UsageError, match="reads no 'weight'"):
        wanted.take({**batch, "weight": np.ones(len(x), np.float32)})
    assert set(wanted.take(({first: x, **label}, x.copy()))) == {first, *label}
    if "target" in wanted.may:
        assert np.array_equal(wanted.take((x, y))["target"], y)
    else:
        with pytest.raises(UsageError, match="not x|not one class a row"):
            wanted.take(({first: x, **label}, y))
    one_hot = np.eye(10)[batch["label"] % 10]
    for form in (batch["label"] % 10, (batch["label"] % 10)[:, None], one_hot):
        assert np.array_equal(wanted.take((x, form))["label"], batch["label"] % 10)


def test_sampling_is_deterministic_by_seed(model):
    images = given(model, 5)
    sample = model.sample(5, seed=0, **images)
    if "token" in model.expects():
        assert sample.shape == (5, model.context) and sample.dtype == np.int32
        assert sample.min() >= 0 and sample.max() < model.vocabulary
    else:
        sides = next((image.shape[1:3] for image in images.values()), model.image_shape[:2])
        sides = [side * getattr(model, "scale", 1) for side in sides]
        assert sample.shape == (5, *sides, model.image_shape[-1]) and sample.dtype == np.float32
        assert np.abs(sample).max() <= 1
    assert np.array_equal(sample, model.sample(5, seed=0, **images))
    laws = [law_of(one.meta, name) for one in model.signatures().values() for name in one.inputs]
    if any(law and law.kind != "constant" for law in laws):
        assert not np.array_equal(sample, model.sample(5, seed=1, **images))
    # Split into batches the sums in a matrix product may be ordered otherwise.
    np.testing.assert_allclose(sample, model.sample(5, seed=0, batch_size=2, **images), atol=1e-5)


def test_evaluate_draws_the_same_numbers_every_time_and_moves_nothing(model):
    batch = batch_for(model)
    before = [np.asarray(v) for p in model.players() for n in p.networks for v in n.variables if "seed" not in v.path]
    first = model.evaluate(batch, batch_size=8, verbose=0, return_dict=True)
    assert first == model.evaluate(batch, batch_size=8, verbose=0, return_dict=True)
    after = [np.asarray(v) for p in model.players() for n in p.networks for v in n.variables if "seed" not in v.path]
    assert difference(before, after) == 0


def test_health_looks_at_every_game_and_what_it_measures_changes(model):
    batch = batch_for(model)
    if given(model, 1):
        says = "also takes '(source|segmentation)'; leave it|makes images of images; leave it|'g', which .* has not"
        with pytest.raises(UsageError, match=says):
            model.fit(batch, batch_size=8, verbose=0, callbacks=[GANHealth(batch.get("image", batch.get("target")))])
        return
    health = GANHealth(batch.get("image"), every=1, n=8, gradient=0, diversity=0)
    if model.players()[0].name == "":
        with pytest.raises(keras_gen.errors.UsageError, match="'g', which .* has not; leave it out"):
            model.fit(batch, batch_size=8, verbose=0, callbacks=[health])
        return
    model.fit(batch, batch_size=8, verbose=0, callbacks=[health])
    assert len(health.history) == 2 and not health.failures
    for name in ("gradient", "diversity", "distinct", "d_loss"):
        first, second = (look[name] for look in health.history)
        assert 0 < abs(first) < np.inf and first != second, name


def test_health_measures_the_trained_networks_and_not_their_averages(model, row):
    if model.players()[0].name == "" or given(model, 1):
        return
    gradients = []
    for more in ({"ema": None}, {"ema": 0.9}):  # of the same weights
        one = make(row, compiled=False, **more)
        health = GANHealth(batch_for(one)["image"], n=8, gradient=0)
        one.update, one.d_optimizer = "alternating", keras.optimizers.SGD()
        health.set_model(one)
        for name in one.averaged if one.ema else ():
            average = getattr(one, f"ema_{name}")
            average.set_weights([0 * weight for weight in average.get_weights()])
        health.look({"d_loss": 1.0})
        gradients.append(health.history[0]["gradient"])
    assert gradients[0] == pytest.approx(gradients[1], rel=1e-5) and gradients[0] > 0


def test_signatures_keep_their_contract(model):
    for signature in model.signatures().values():
        example = signature.example(3)
        assert set(example) == set(signature.inputs)
        outputs = signature.fn(**example)
        assert not set(outputs) & set(signature.inputs)
        for value in outputs.values():
            assert value.shape[0] == 3 and np.isfinite(value).all()
        drawn = [name for name in signature.inputs if name not in given_of(signature.meta)]
        assert all(f"{name}.law" in signature.meta for name in drawn) or "sample" not in signature.meta
        for name, spec in signature.inputs.items():
            if spec.dtype == "int32":
                assert signature.meta[f"{name}.out_of_range"] == "clamped"
                count = count_of(signature.meta, name)
                for beyond, end in ((-1, 0), (count, count - 1)):
                    asked = [
                        signature.fn(**{**example, name: np.full_like(example[name], value)}) for value in (beyond, end)
                    ]
                    assert all(np.array_equal(*(one[key] for one in asked)) for key in outputs)


def test_python_refuses_a_class_that_does_not_exist(model):
    for called, signature in model.signatures().items():
        for name in signature.inputs:
            count = count_of(signature.meta, name)
            for wrong in (-1, count, 2**32, 0.5) if count else ():
                given = {**signature.example(2), name: np.full(signature.example(2)[name].shape, wrong)}
                expected = f"^'?{name}'? .*(out of range; expected 0 to|expected whole numbers) [^\\n]*$"
                with pytest.raises(keras_gen.errors.UsageError, match=expected):
                    model.run(called, **given)


def test_every_signature_exports_to_onnx_and_samples_alike(model, row, tmp_path):
    onnx.export(model, tmp_path)
    assert {path.stem for path in tmp_path.glob("*.onnx")} == set(model.signatures())
    sampler = next((name for name, signature in model.signatures().items() if "sample" in signature.meta), None)
    if sampler is None:
        assert row.startswith("gpt"), "its loop is outside of the file: see examples/test_run_gpt_onnx.py"
        return
    images = given(model, 5)
    drawn = open_file(tmp_path / f"{sampler}.onnx").sample(5, seed=7, **images)["image"]
    np.testing.assert_allclose(drawn, model.sample(5, seed=7, **images), atol=model.signatures()[sampler].atol)


def test_every_argument_and_weight_survives_a_save_and_one_more_step_is_bit_equal(model, row, tmp_path):
    model.save(tmp_path / "new" / "model.keras")
    again = keras_gen.load(tmp_path / "new" / "model.keras")
    assert type(again) is type(model)
    plain = {name: value for name, value in model.get_config().items() if not isinstance(value, dict)}
    assert {name: again.get_config()[name] for name in plain} == plain
    for argument, value in collect.row(row)[1]().items():
        if argument not in ("generator", "discriminator", "encoder"):
            assert np.all(getattr(again, argument, value) == getattr(model, argument, value)), argument
    assert difference(weights(again), weights(model)) == 0
    images = given(model, 5)
    assert np.array_equal(model.sample(5, seed=4, **images), again.sample(5, seed=4, **images))
    for one in (model, again):
        one.fit(batch_for(model), batch_size=8, epochs=1, verbose=0)
    assert difference(everything(model), everything(again)) == 0
