"""What a trained model does: samples, codes, reconstructions and densities, compiled, for any number of rows."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, near_misses, positive, seeded, whole
from keras_gen.game.batch import check_labels, check_shapes
from keras_gen.game.forms import as_array, classes, numeric, with_channel
from keras_gen.images import colored
from keras_gen.signatures.classes import Classes, names_of, numbered
from keras_gen.signatures.draws import sample_inputs
from keras_gen.signatures.law import check_classes, count_of, given_of
from keras_gen.signatures.signature import translator_of
from keras_gen.signatures.values import check_values


class Inference:
    """Methods of a `GenerativeModel` that call its `signatures()`."""

    def inference(self, name: str) -> keras.Model:
        """Returns the network to sample, evaluate and export with: the moving average where there is one."""
        return self.network(name, training=False)

    def network(self, name: str, training: bool) -> keras.Model:
        """Returns a network by its attribute: the trained one in training, otherwise its moving average, if any."""
        trained = training or self.__dict__.get("_without_averages", False)
        average = None if trained else getattr(self, f"ema_{name}", None)
        return average if average is not None else getattr(self, name)

    @contextlib.contextmanager
    def without_averages(self) -> Iterator[None]:
        """Lets `network` return the trained networks, whatever the mode: what a gradient is to reach."""
        self.__dict__["_without_averages"] = True
        try:
            yield
        finally:
            del self.__dict__["_without_averages"]

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Puts the model, while `train` writes it, into the state that it is to be used in; a subclass may have one."""
        yield

    def sample(
        self, n: int = 1, seed: int = 0, label: Classes = None, batch_size: int = 64, **inputs: Any
    ) -> np.ndarray:
        """Draws samples; the same seed gives the same ones, here and from an exported file.

        Args:
            n: how many.
            seed: of `numpy.random.default_rng`, which draws the latents.
            label: of a conditional model: one class or one for each; without it the classes in turn. A number is an
                index, also where names of classes are numbers; a text is one of `class_names` first, then an index.
            batch_size: how many are made at once.
            **inputs: other inputs of the sampler that are not to be drawn, such as `truncation`: one value for all, or
                one for each.

        Returns:
            float32 images (n, H, W, C) in [-1, 1], or what the model makes.
        """
        name, signature = next(
            ((name, found) for name, found in self.signatures().items() if "sample" in found.meta), (None, None)
        )
        if signature is None:
            raise UsageError(
                f"{type(self).__name__} has no prior to sample from; use its {', '.join(self.signatures())}"
            )
        shapes = {key: spec.shape.as_list() for key, spec in signature.inputs.items()}
        drawn = sample_inputs(shapes, signature.meta, n, seed, label, **inputs)
        return self.run(name, batch_size, **drawn)[signature.meta["sample"]]

    def translate(
        self, images: np.ndarray, to: str | None = None, seed: int = 0, batch_size: int = 16, **inputs: Any
    ) -> np.ndarray:
        """Makes images of images, of any height and width that the networks take.

        Args:
            images: (n, H, W, C) in [-1, 1].
            to: `"a"` or `"b"`, of a model that translates both ways; by default `"b"`.
            seed: of whatever else is drawn, such as latents.
            batch_size: how many are made at once.
            **inputs: other inputs that are not to be drawn, or that nothing draws, such as `style`.

        Returns:
            float32 (n, H', W', C') in [-1, 1].

        Raises:
            UsageError: a model that makes nothing of images, or no such direction.
        """
        name = translator_of({name: one.meta for name, one in self.signatures().items()}, to, type(self).__name__)
        signature = self.signatures()[name]
        given = given_of(signature.meta)[0]
        shapes = {key: spec.shape.as_list() for key, spec in signature.inputs.items()}
        images = _formed(given, images, shapes[given])
        drawn = sample_inputs(shapes, signature.meta, max(1, len(images)), seed, **{given: images}, **inputs)
        return self.run(name, batch_size, **drawn)[signature.meta["sample"]]

    def preview(self, examples: Any = None, n: int = 64, seed: int = 0) -> tuple[np.ndarray, int | None]:
        """Returns images that show what has been learned, and how many are in a row; `None` leaves that open.

        Args:
            examples: `keras_gen.data.Examples` of what a batch holds; only a model that makes images of images looks.
            n: images.
            seed: of the samples.
        """
        if not any(one.meta.get("given") and "sample" in one.meta for one in self.signatures().values()):
            return self.sample(n, seed=seed), None
        pairs = self.beside(next(iter(examples.dataset(max(1, min(len(examples), n // 3))))), seed)
        channels = max(images.shape[-1] for images in pairs)
        pairs = [np.repeat(images, channels // images.shape[-1], -1) for images in pairs]
        rows = len(pairs[0])
        beside = max(1, round((rows / len(pairs)) ** 0.5))  # as many of them as make a square of it
        return np.stack(pairs, axis=1).reshape(-1, *pairs[0].shape[1:]), len(pairs) * beside

    def beside(self, batch: Mapping[str, tf.Tensor], seed: int = 0) -> list[np.ndarray]:
        """Returns what `preview` shows side by side of a model that makes images of images: arrays of as many rows.

        Args:
            batch: named tensors.
            seed: of whatever else is drawn.
        """
        pairs, metas = [], {name: one.meta for name, one in self.signatures().items()}
        ways = {name: meta["given"] for name, meta in metas.items() if meta.get("given") and "sample" in meta}
        for name, key in ways.items():
            given = batch[key if not name.endswith("_to_a") else "target"].numpy()
            pairs += [colored(given, names_of(metas[name], key)) if count_of(metas[name], key) else given]
            pairs += [self.translate(given, to=name[-1] if "_to_" in name else None, seed=seed)]
        return pairs + [batch[name].numpy() for name in ("target", "image") if len(ways) == 1 and name in batch]

    def run(self, name: str, batch_size: int = 64, /, **inputs: Any) -> dict[str, np.ndarray]:
        """Calls one of `signatures()`, compiled, on any number of rows.

        Args:
            name: of the signature.
            batch_size: rows computed at once.
            **inputs: its inputs by name, arrays with one row for each example; or numbers, which hold for all rows.
                Classes also by name.

        Returns:
            Its outputs by name.

        Raises:
            UsageError: no such signature, or an input that is missing, not known, of another shape or range, or no
                class.
            DamagedError: NaN or infinity.
        """
        signatures, batch_size = self.signatures(), positive("batch_size", batch_size)
        if name not in signatures:
            raise UsageError(f"{type(self).__name__} has no {name!r}; {near_misses(name, signatures)}")
        meta = signatures[name].meta
        inputs = {key: numbered(value, names_of(meta, key), key) for key, value in inputs.items()}
        for key, value in inputs.items():
            if count := count_of(meta, key):
                check_classes(key, _formed(key, value, ()), count)
        arrays = _rows_for(signatures[name].inputs, name, inputs, meta)
        call = self._compiled(name, signatures[name])
        count = len(next(iter(arrays.values())))
        parts = [
            {key: value.numpy() for key, value in call({k: v[at : at + batch_size] for k, v in arrays.items()}).items()}
            for at in range(0, count, batch_size)
        ]
        return parts[0] if len(parts) == 1 else {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def encode(self, images: np.ndarray, batch_size: int = 64, **inputs: Any) -> np.ndarray:
        """Returns the codes of images (n, H, W, C) in [-1, 1]: the first output of `encode`, a VAE's means."""
        return next(iter(self.run("encode", batch_size, image=images, **inputs).values()))

    def decode(self, latents: np.ndarray, batch_size: int = 64, **inputs: Any) -> np.ndarray:
        """Returns the images (n, H, W, C) in [-1, 1] of codes, such as `encode` gives: the first output of `decode`."""
        first = next(iter(self.signatures()["decode"].inputs)) if "decode" in self.signatures() else "latent"
        return next(iter(self.run("decode", batch_size, **{first: latents}, **inputs).values()))

    def reconstruct(self, images: np.ndarray, batch_size: int = 64, **inputs: Any) -> np.ndarray:
        """Encodes images and decodes their codes; further inputs, such as `label`, go to both."""
        return self.decode(self.encode(images, batch_size, **inputs), batch_size, **inputs)

    def densities(
        self,
        log_density: Callable[..., tf.Tensor],
        inputs: Mapping[str, Any],
        *options: int,
        seed: int = 0,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Returns log-densities of any number of rows: what a leaf's `log_prob` is made of.

        Args:
            log_density: `(batch, *options)` to nats (B,), compiled; it draws by `seeds(training=False)`.
            inputs: what `expects()` names: arrays with one row for each example; or numbers, which hold for all rows.
            *options: whole numbers.
            seed: of the draws.
            batch_size: rows computed at once.

        Returns:
            float32 (n,).

        Raises:
            UsageError: an input that is missing, not known, of another shape or of another range.
        """
        known, batch_size, seed = (
            self.expects(),
            positive("batch_size", batch_size),
            seeded(whole("seed", seed), 2**63 - 1),
        )
        names = {key: law.names for key, law in self.conditions().items()}
        inputs = {key: numbered(value, names.get(key, ()), key) for key, value in inputs.items()}
        given = {key: _formed(key, value, known.get(key, ())) for key, value in inputs.items()}
        arrays = {key: known[key] for key in known if key in given and given[key].ndim}
        check_shapes({key: (None, *given[key].shape[1:]) for key in arrays}, arrays)
        specs = {key: tf.TensorSpec(shape, given.get(key, np.float32(0)).dtype) for key, shape in known.items()}
        batch = _rows_for(specs, "log_prob", given, {})
        check_labels(batch, self)
        self.test_seed_generator.state.assign([seed, 0])
        if "log_prob" not in self._compiled_functions:
            self._compiled_functions["log_prob"] = tf.function(log_density, reduce_retracing=True)
        call, options = self._compiled_functions["log_prob"], [tf.constant(option) for option in options]
        parts = [
            call({key: value[at : at + batch_size] for key, value in batch.items()}, *options).numpy()
            for at in range(0, len(next(iter(batch.values()))), batch_size)
        ]
        return np.concatenate(parts)

    def _compiled(self, name, signature):
        if name not in self._compiled_functions:
            # A partial, not a lambda: TensorFlow counts tracings by code, and would warn of many models.
            function = tf.function(functools.partial(_by_name, signature.fn), input_signature=[dict(signature.inputs)])
            self._compiled_functions[name] = function
        return self._compiled_functions[name]


def _by_name(fn, inputs):
    return fn(**inputs)


def _formed(key, value, shape):
    """Returns an input in the form that `fit` gives to data, too."""
    array = as_array(key, value)
    if not array.ndim:
        return array
    return classes(key, array) if key == "label" else with_channel(array, tuple(shape))


def _rows_for(specs, name, inputs, meta):
    """Returns the inputs of a function, whose values are checked, as arrays of its types with one number of rows."""
    for key in inputs:
        if key not in specs:
            raise UsageError(f"{name!r} has no input {key!r}; {near_misses(key, specs)}")
    arrays = {}
    for key, spec in specs.items():
        if key not in inputs:
            raise UsageError(f"{name!r} takes {key!r}, which was not given; expected shape {tuple(spec.shape)}")
        arrays[key] = numeric(key, _formed(key, inputs[key], spec.shape))
    count = max(len(value) for value in arrays.values() if value.ndim) if any(v.ndim for v in arrays.values()) else 0
    for key, spec in specs.items():
        if not arrays[key].ndim and len(spec.shape) == 1:
            arrays[key] = np.repeat(arrays[key], count)
        if len(arrays[key]) != count or not count or not spec.shape.is_compatible_with(arrays[key].shape):
            raise UsageError(f"{key!r} has shape {arrays[key].shape}; {name!r} expects {tuple(spec.shape)}, n not 0")
    check_values(arrays, meta=meta)
    return {key: arrays[key].astype(spec.dtype.as_numpy_dtype, copy=False) for key, spec in specs.items()}
