"""The base of all models: what a leaf gives, construction, configuration, `compile` and `save`."""

import numbers
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_gen.errors import UsageError, choice, positive, seeded
from keras_gen.files import writing
from keras_gen.game import averages, config
from keras_gen.game.fit import Fit
from keras_gen.game.inference import Inference
from keras_gen.game.inherited import Inherited
from keras_gen.game.player import ADDS, Player
from keras_gen.game.player import optimizers as optimizers_of
from keras_gen.game.step import Step
from keras_gen.losses import Levels
from keras_gen.ops.random import SeedGenerator, adopt
from keras_gen.signatures.law import Law
from keras_gen.signatures.signature import Signature


class GenerativeModel(Inference, Step, Fit, Inherited, keras.Model):
    """Base of all models: a game of players, trained by `fit`.

    A leaf makes its networks, calls `build()` at the end of its constructor, and gives `players()` and `signatures()`.

    Args:
        ema: decay per step, in [0, 1), of an exponential moving average of the networks in `averaged`; it is saved, and
            used by `sample` and the export. In step t it is (1 + t) / (10 + t) where that is less, as in TensorFlow's
            `ExponentialMovingAverage`; steps are the model's own, whatever is compiled anew. `None` keeps none.
        seed: of all draws in training. `None` takes one from the operating system. Initial weights are drawn by Keras,
            from the seed of the process: call `keras.utils.set_random_seed` before, as the command line does.
        class_names: of the `num_classes` classes of a variant that sees labels, in the order of their numbers: they are
            saved, and stand in the metadata of exported files. `None` for none.
        ema_statistics: what the average of a network has for the running statistics of its batch normalization: their
            own average, `"averaged"`, or those of the trained network, `"copied"`, which remember some ten steps.
        **kwargs: `name`, `dtype` (a precision policy such as `"mixed_bfloat16"`), `trainable`.
    """

    density = "implicit"  # "exact" | "bound" | "implicit"
    data_names = ("image", "label")  # what plain x and y of `fit` are called
    reads = "images"  # what the command line reads: "images", "text", "pairs", "unpaired" or "labels"
    usual_data = "digits"  # what the command line trains on when nobody says otherwise
    averaged: tuple[str, ...] = ()  # attributes that an exponential moving average follows
    update = "simultaneous"  # or "alternating"
    former: Mapping[str, Any] = {"ema_statistics": "copied"}  # what arguments stand for in files from before them
    settled: tuple[str, ...] = ()  # arguments of a parent that a class gives it itself, and does not take
    num_classes: int | None = None  # of a variant whose networks see the label, too
    class_names: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()  # phases of training in their order, where there are several: each has players()
    stage: str | None = None  # which is trained now
    ema_steps: Any = None  # variable: steps that the moving averages have followed; -1 is as many as the optimizer's

    def __new__(cls, *args: Any, **kwargs: Any):
        """Records the constructor's arguments: they are the model's configuration."""
        given = config.recorded(cls, args, kwargs)
        shape = given.get("image_shape", (1, 1, 1))
        sizes = list(shape) if isinstance(shape, Iterable) else []
        if shape is not None and (len(sizes) != 3 or any(not isinstance(n, numbers.Integral) or n < 1 for n in sizes)):
            raise UsageError(f"image_shape is {shape}; expected (height, width, channels), such as (28, 28, 1)")
        model = super().__new__(cls)
        # A mapping proxy is not a container to Keras, which would otherwise save the networks in it a second time.
        model.__dict__["_given"] = types.MappingProxyType(given)
        return model

    def __init__(
        self,
        ema: float | None = None,
        seed: int | None = None,
        class_names: Sequence[str] | None = None,
        ema_statistics: str = "averaged",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if ema is not None and not 0 <= ema < 1:
            raise UsageError(f"ema is {ema}; expected a decay in [0, 1), such as 0.999")
        self.ema = ema
        self.ema_statistics = choice("ema_statistics", ema_statistics, averages.STATISTICS)
        try:
            self.seed = seeded(seed, 2**63 - 1)
        except UsageError as error:
            config.refused(str(error))
            self.seed = seed
        self.class_names = config.names("class_names", class_names)
        self.seed_generator = SeedGenerator(seed)
        self.test_seed_generator = SeedGenerator(0)
        # Plain dicts, set past Keras' tracking: nothing of them belongs into a file.
        self.__dict__.update(_compiled_functions={}, _means={}, _reseeded=set(), _epochs_served=0, _keeper=None)
        self.__dict__["_accumulate"] = 1

    # --- what a leaf gives -------------------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """Returns the players, in the order of their updates."""
        raise NotImplementedError

    def signatures(self) -> dict[str, Signature]:
        """Returns the inference functions that are exported."""
        raise NotImplementedError

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the named tensors that a training batch must hold, with their shapes, batch first."""
        return {"image": (None, *self.image_shape), **{name: (None,) for name in self.conditions()}}

    def pixel_levels(self) -> Levels | None:
        """Returns the levels whose bits `log_prob` counts; `None` where it is of no levels, and bits are not known."""
        return None

    def accepts(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the named tensors that a training batch may hold beside those and `label`, with their shapes."""
        return {}

    def conditions(self) -> dict[str, Law]:
        """Returns the networks' conditions, such as `label`, one number for each image: name to distribution."""
        return {"label": Law("classes", self.num_classes, self.class_names)} if self.num_classes else {}

    def conditions_in(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the conditions' part of a batch."""
        return {name: batch[name] for name in self.conditions()}

    def check_steps(self, steps: int) -> None:
        """Refuses stages of so few steps that what they train would not be of use; there are none here."""

    def measures(self, train: Any, test: Any, seed: int = 0) -> dict[str, float]:
        """Returns figures of its own that `evaluate` of the command line adds to those that all models have.

        Args:
            train: `keras_gen.data.Examples` that the model was trained on.
            test: the rest.
            seed: of whatever is drawn.
        """
        return {}

    # --- construction ------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Ends the construction; a subclass that adds networks calls it again.

        It makes the moving averages and takes over the seed generators of all layers.
        """
        if self.class_names and len(self.class_names) != (self.num_classes or 0):
            classes = f"num_classes is {self.num_classes}" if self.num_classes else "this model sees no labels"
            raise UsageError(f"class_names holds {len(self.class_names)} names, and {classes}; give one for each class")
        given = [value for value in self._given.values() if isinstance(value, keras.Model)]
        shared = _shared(given)
        if shared:
            raise UsageError(f"two injected networks share {shared}, which no file can hold; give each its own layer")
        for layer in self._flatten_layers():
            if getattr(layer, "activity_regularizer", None) is not None:
                config.refused(f"the layer {layer.name!r} {ADDS}")
        for name in self.averaged if self.ema is not None else ():
            if hasattr(self, name) and not hasattr(self, f"ema_{name}"):
                setattr(self, f"ema_{name}", averages.twin(getattr(self, name), name))
        if self.ema is not None and self.ema_steps is None:
            self.__dict__["ema_steps"] = averages.count()  # past Keras' tracking: it is none of the weights
        for index, generator in enumerate(adopt(self)):
            # Layers without a seed of their own have one of the process: draw it from the model's.
            if self.seed is not None and generator._initial_seed is None and id(generator) not in self._reseeded:
                generator.state.assign([(self.seed + 1 + index) % 2**32, 1])
            self._reseeded.add(id(generator))
        self.built = True

    def _lock_state(self):
        """Does nothing: a subclass may add networks to those of its parent."""

    def seeds(self, training: bool) -> SeedGenerator:
        """Returns the source of random numbers: in `evaluate` the same in every run."""
        return self.seed_generator if training else self.test_seed_generator

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain values; injected networks are serialized."""
        inherent = {"name": self.name, "dtype": self.dtype_policy.name}
        known = config.constructor_arguments(type(self))
        given = {name: config.plain(getattr(self, name)) for name in config.former(type(self))}
        given |= {name: config.plain(value) for name, value in self._given.items()}
        return {**given, **{name: value for name, value in inherent.items() if name in known}}

    @classmethod
    def from_config(cls, arguments: Mapping[str, Any], custom_objects: Mapping[str, type] | None = None):
        """Builds a model from `get_config()`."""
        arguments = {**config.former(cls), **arguments}
        with config.reading():
            return cls(**{name: config.restored(value, custom_objects) for name, value in arguments.items()})

    def get_build_config(self) -> None:
        """Returns nothing: the constructor builds."""

    def build_from_config(self, config: Any) -> None:
        """Does nothing: the constructor builds."""

    def float32(self) -> "GenerativeModel":
        """Returns this model, or, under mixed precision, a copy of it that computes in float32."""
        if all(layer.compute_dtype == "float32" for layer in self._flatten_layers() if layer is not self):
            return self
        twin = type(self).from_config(config.in_float32(self.get_config()))
        for ours, theirs in zip(twin.weights, self.weights, strict=True):
            ours.assign(theirs)
        twin.stage = self.stage
        return twin

    # --- compile -----------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = None,
        *,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        auto_scale_loss: bool = True,
        accumulate: int = 1,
        stage: str | None = None,
        **optimizers: Any,
    ) -> None:
        """Prepares for training.

        Args:
            optimizer: of a model with one player. A game takes one for each player by name: `d_optimizer=`,
                `g_optimizer=`. Each is an instance, a name, a configuration, or `None` for the paper's.
            jit_compile: `"auto"` uses XLA on exactly one GPU.
            run_eagerly: run steps without compiling them.
            steps_per_execution: steps in one compiled call; the weights do not depend on it.
            auto_scale_loss: under `mixed_float16`, scale every player's loss.
            accumulate: parts in which each batch passes through the networks before an update, which is that of the
                whole batch: its memory is that of a part. Batch normalization has its statistics in each part.
            stage: one of `stages`, which `fit` then trains; by default the last. Optimizers begin anew.
            **optimizers: the players' optimizers.

        Raises:
            UsageError: an argument, a stage, a player or an optimizer that does not exist.
        """
        if stage is not None:
            choice("stage", stage, self.stages)
        self.stage = stage or (self.stages[-1] if self.stages else None)
        if self.stages:
            self._compiled_functions.clear()  # the networks of a stage may be others
        players = self.players()
        if self.compiled and self.ema_steps is not None and np.asarray(self.ema_steps) < 0:  # the last to know it goes
            self.ema_steps.assign(self._optimizer_of(players[-1]).iterations)
        given = {**({"optimizer": optimizer} if optimizer is not None else {}), **optimizers}
        made = optimizers_of(players, given, auto_scale_loss)
        settings = {"jit_compile": jit_compile, "auto_scale_loss": auto_scale_loss, "run_eagerly": run_eagerly}
        settings |= {"accumulate": positive("accumulate", accumulate)} if accumulate != 1 else {}
        self.__dict__["_accumulate"] = accumulate
        settings |= {"stage": self.stage} if self.stages else {}
        self.__dict__["_compile_settings"] = {**settings, "steps_per_execution": steps_per_execution}
        if jit_compile == "auto":
            one_replica = self.distribute_strategy.num_replicas_in_sync == 1
            jit_compile = one_replica and len(tf.config.list_logical_devices("GPU")) == 1
        super().compile(
            optimizer=made.pop("optimizer", None),
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            auto_scale_loss=False,
        )
        for name, instance in made.items():
            setattr(self, name, instance)
        for player in players:
            self._optimizer_of(player).build(player.variables)
        words = [player.prefixed(word) for player in players for word in ("loss", *player.terms)]
        if "loss" not in words:
            words.append("loss")  # the sum over players: what TerminateOnNaN and ModelCheckpoint can hold
        self.__dict__["_means"] = {word: keras.metrics.Mean(name=word) for word in words}

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns what `compile` was given, with every player's optimizer; nothing before `compile`."""
        if not self.compiled:
            return None
        names = [player.prefixed("optimizer") for player in self.players()]
        return {
            **{name: keras.saving.serialize_keras_object(getattr(self, name)) for name in names},
            **self._compile_settings,
        }

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles as before the save."""
        self.compile(**keras.saving.deserialize_keras_object(dict(config)))

    @property
    def metrics(self) -> list:
        """One running mean for each player's loss and terms, and for their total."""
        return list(self._means.values())

    # --- save --------------------------------------------------------------------------------------------------------

    def save(self, filepath: str | Path, overwrite: bool = True, **kwargs: Any) -> None:
        """Writes a `.keras` file: beside its name first, so that an older one is replaced whole or not at all.

        Args:
            filepath: ends in `.keras`; missing folders are made.
            overwrite: replace an existing file.
            **kwargs: of `keras.Model.save`.

        Raises:
            UsageError: another suffix, or the file exists and `overwrite` is false.
            OSError: the disk is full or the folder cannot be written; the older file is unharmed.
        """
        path = Path(filepath)
        if path.suffix != ".keras":
            raise UsageError(f"{path} does not end in .keras; call it {path.with_suffix('.keras')}")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists; give another name or overwrite=True")
        path.parent.mkdir(parents=True, exist_ok=True)
        with writing.beside(path) as temporary:
            super().save(temporary, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Writes what Keras leaves out: the state of every seed generator, and how often data were passed through."""
        super().save_own_variables(store)
        for index, generator in enumerate(adopt(self)):
            store[f"seed_{index}"] = np.asarray(generator.state)
        store["epochs_served"] = np.asarray(self._epochs_served)
        if self.ema_steps is not None:
            store["ema_steps"] = np.asarray(self.ema_steps)

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        super().load_own_variables({name: store[name] for name in store.keys() if name.isdecimal()})
        for index, generator in enumerate(adopt(self)):
            generator.state.assign(np.asarray(store[f"seed_{index}"]))
        self.__dict__["_epochs_served"] = int(np.asarray(store["epochs_served"]))
        if self.ema_steps is not None:
            self.ema_steps.assign(np.asarray(store["ema_steps"]) if "ema_steps" in store.keys() else -1)


def _shared(networks):
    """Returns the path of a variable that two of the networks hold, if there is one."""
    owner = {}
    for network in networks:
        for variable in network.variables:
            if owner.setdefault(id(variable), network) is not network:
                return variable.path
    return None
