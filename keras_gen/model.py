"""The game: players, one `train_step` for all models, right under replicas, mixed precision and restarts."""

import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_gen import config, distribution, files, fitting
from keras_gen.batch import Batch, unpack
from keras_gen.callbacks import Checkpoint
from keras_gen.errors import UsageError, near_misses
from keras_gen.inference import Inference
from keras_gen.random import SeedGenerator, adopt
from keras_gen.signature import Signature


class Player(NamedTuple):
    """The networks that one optimizer may move, and the loss that it moves them down.

    Args:
        name: `"d"` gives `d_optimizer` and `d_loss`; `""` gives `optimizer` and `loss`.
        networks: what this player may move, and nothing else.
        loss: `(batch, training)` to a dict of scalars, each a mean over this replica's batch; their weighted sum is
            minimized.
        optimizer: makes the paper's optimizer, for a `compile()` without one.
        terms: the terms of the loss that get a metric of their own, without their weight.
        weights: the weight of a term in the sum, where it is not 1.
        steps: updates in a round of the alternating rule, each on rows of its own.
        replays: updates in each of those steps, all on its rows; they share the batch's `carried`.
    """

    name: str
    networks: tuple
    loss: Callable[[Batch, bool], dict[str, tf.Tensor]]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    terms: tuple[str, ...] = ()
    weights: Mapping[str, float] = types.MappingProxyType({})
    steps: int = 1
    replays: int = 1

    def prefixed(self, word: str) -> str:
        """Returns `d_word`, or `word` for the player without a name."""
        return f"{self.name}_{word}" if self.name else word

    @property
    def variables(self) -> list:
        """The trainable variables of the player's networks, each once."""
        found = {id(v): v for network in self.networks for v in network.trainable_variables}
        return list(found.values())


class GenerativeModel(Inference, keras.Model):
    """Base of all models: a game of players, trained by `fit`.

    A leaf makes its networks, calls `build()` at the end of its constructor, and gives `players()` and `signatures()`.

    Args:
        ema: decay per step, in [0, 1), of an exponential moving average of the networks in `averaged`; it is saved, and
            used by `sample` and the export. In step t it is (1 + t) / (10 + t) where that is less, as in TensorFlow's
            `ExponentialMovingAverage`. `None` keeps none.
        seed: of all draws in training. `None` takes one from the operating system.
        **kwargs: `name`, `dtype` (a precision policy such as `"mixed_bfloat16"`), `trainable`.
    """

    density = "implicit"  # "exact" | "bound" | "implicit"
    data_names = ("image", "label")  # what plain x and y of `fit` are called
    usual_data = "digits"  # what the command line trains on when nobody says otherwise
    averaged: tuple[str, ...] = ()  # attributes that an exponential moving average follows
    update = "simultaneous"  # or "alternating"
    num_classes: int | None = None  # of a variant whose networks see the label, too
    stages: tuple[str, ...] = ()  # phases of training in their order, where there are several: each has players()
    stage: str | None = None  # which is trained now

    def __new__(cls, *args: Any, **kwargs: Any):
        """Records the constructor's arguments: they are the model's configuration."""
        model = super().__new__(cls)
        # A mapping proxy is not a container to Keras, which would otherwise save the networks in it a second time.
        model.__dict__["_given"] = types.MappingProxyType(config.recorded(cls, args, kwargs))
        return model

    def __init__(self, ema: float | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if ema is not None and not 0 <= ema < 1:
            raise UsageError(f"ema is {ema}; expected a decay in [0, 1), such as 0.999")
        self.ema = ema
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)
        self.test_seed_generator = SeedGenerator(0)
        # Plain dicts, set past Keras' tracking: nothing of them belongs into a file.
        self.__dict__.update(_compiled_functions={}, _means={}, _reseeded=set(), _epochs_served=0, _keeper=None)
        self.__dict__["_accumulate"] = 1

    # --- what a leaf gives -------------------------------------------------------------------------------------------

    def players(self) -> tuple[Player, ...]:
        """Returns who plays, in the order of their moves."""
        raise NotImplementedError

    def signatures(self) -> dict[str, Signature]:
        """Returns the inference functions that are exported."""
        raise NotImplementedError

    def expects(self) -> dict[str, tuple[int | None, ...]]:
        """Returns the named tensors that a training batch must hold, with their shapes, batch first."""
        return {"image": (None, *self.image_shape), **{name: (None,) for name in self.conditions()}}

    def conditions(self) -> dict[str, str]:
        """Returns what the networks see beside images and what is drawn, one number for each image: name to law."""
        return {"label": f"classes {self.num_classes}"} if self.num_classes else {}

    def conditions_in(self, batch: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the conditions' part of a batch."""
        return {name: batch[name] for name in self.conditions()}

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
        given = [value for value in self._given.values() if isinstance(value, keras.Model)]
        shared = _shared(given)
        if shared:
            raise UsageError(f"two injected networks share {shared}, which no file can hold; give each its own layer")
        for name in self.averaged if self.ema is not None else ():
            if hasattr(self, name) and not hasattr(self, f"ema_{name}"):
                setattr(self, f"ema_{name}", _copy(getattr(self, name), name))
        for index, generator in enumerate(adopt(self)):
            # Layers without a seed of their own have one of the process: draw it from the model's.
            if self.seed is not None and generator._initial_seed is None and id(generator) not in self._reseeded:
                generator.state.assign([(self.seed + 1 + index) % 2**32, 1])
            self._reseeded.add(id(generator))
        self.built = True

    def _lock_state(self):
        """Does nothing: a subclass may add networks to those of its parent."""

    def draws(self, training: bool) -> SeedGenerator:
        """Returns the source of random numbers: in `evaluate` the same in every run."""
        return self.seed_generator if training else self.test_seed_generator

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as plain values; injected networks are serialized."""
        inherent = {"name": self.name, "dtype": self.dtype_policy.name}
        known = config.constructor_arguments(type(self))
        given = {name: config.plain(value) for name, value in self._given.items()}
        return {**given, **{name: value for name, value in inherent.items() if name in known}}

    @classmethod
    def from_config(cls, arguments: Mapping[str, Any], custom_objects: Mapping[str, type] | None = None):
        """Builds a model from `get_config()`."""
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
            config.choice("stage", stage, self.stages)
        self.stage = stage or (self.stages[-1] if self.stages else None)
        players = self.players()
        given = {**({"optimizer": optimizer} if optimizer is not None else {}), **optimizers}
        made = _optimizers(players, given, auto_scale_loss)
        settings = {"jit_compile": jit_compile, "auto_scale_loss": auto_scale_loss, "run_eagerly": run_eagerly}
        settings |= {"accumulate": config.positive("accumulate", accumulate)} if accumulate != 1 else {}
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

    # --- the one step ------------------------------------------------------------------------------------------------

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Plays one round: every player moves its own networks and nobody else's."""
        batch = Batch(unpack(data, self.data_names))
        play = self._simultaneous if self.update == "simultaneous" else self._alternating
        # Where the data ends, TensorFlow would otherwise still count a step and draw random numbers for it.
        with tf.control_dependencies(tf.nest.flatten(dict(batch))):
            self._record(play(batch), batch)
            if self.ema is not None:
                self._follow()
            return self._logs()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Computes every player's loss on one batch, moving nothing."""
        batch = Batch(unpack(data, self.data_names))
        with tf.control_dependencies(tf.nest.flatten(dict(batch))):
            share = _share(batch)
            self._record([(player, player.loss(batch, False), share) for player in self.players()], batch)
            return self._logs()

    def _simultaneous(self, batch):
        """All losses on one forward pass and on the same weights, then all updates."""
        return self._move(self.players(), batch)

    def _alternating(self, batch):
        """One player after the other, each update on a forward pass and rows of its own."""
        players = self.players()
        parts = max(player.steps for player in players)
        played = []
        for player in players:
            rows = Batch(batch)  # what one player carries from replay to replay is not for another
            for index in range(player.steps):
                part = rows.part(index, parts)
                for _ in range(player.replays):
                    moved = self._move((player,), part)
                    part = part.again()
            played += moved  # the last step's
        return played

    def _move(self, players, batch):
        """Moves players by the gradients of their losses on one batch and on the same weights.

        Returns:
            Each player, the terms of its loss, and this replica's share of the global batch.
        """
        share, parts = _share(batch), self._accumulate
        terms: list = [None] * len(players)
        gradients: list = [None] * len(players)
        for index in range(parts):
            part = batch.part(index, parts)
            # One part after the other: the memory of all at once is what is to be saved.
            done = [value for values in gradients if values for value in values if value is not None]
            with tf.control_dependencies(done):
                part.update({name: tf.identity(value) for name, value in part.items()} if parts > 1 else {})
            weight = _fraction(part, batch, parts) if parts > 1 else 1.0
            with tf.GradientTape(persistent=len(players) > 1) as tape:
                found = [player.loss(part, True) for player in players]
                losses = [self._scaled(player, f, share * weight) for player, f in zip(players, found, strict=True)]
            for number, (player, loss) in enumerate(zip(players, losses, strict=True)):
                gradients[number] = _added(gradients[number], tape.gradient(loss, player.variables))
                weighed = {name: value * weight for name, value in found[number].items()}
                terms[number] = weighed if index == 0 else {k: terms[number][k] + v for k, v in weighed.items()}
        for player, gradient in zip(players, gradients, strict=True):
            self._optimizer_of(player).apply(gradient, player.variables)
        return [(player, found, share) for player, found in zip(players, terms, strict=True)]

    def _optimizer_of(self, player):
        return getattr(self, player.prefixed("optimizer"))

    def _scaled(self, player, terms, share):
        # `apply` sums gradients over replicas, so each replica's mean counts by its share of the global batch.
        return self._optimizer_of(player).scale_loss(_total(player, terms) * share)

    def _record(self, played, batch):
        """Adds the losses to their means, which weigh a batch by its rows; on replicas, by those that a loss saw."""
        rows = tf.cast(_rows(batch), tf.float32)
        whole = _share(batch) if len({id(share) for *_, share in played}) > 1 else played[0][-1]
        total = 0.0
        for player, values, share in played:
            loss, weight = _total(player, values), rows * (share / whole)
            total += loss * (share / whole)
            self._means[player.prefixed("loss")].update_state(loss, sample_weight=weight)
            for term in player.terms:
                self._means[player.prefixed(term)].update_state(values[term], sample_weight=weight)
        if len(played) > 1:
            self._means["loss"].update_state(total, sample_weight=rows)

    def _logs(self):
        logs = self.get_metrics_result()
        if distribution.spans_workers(self.distribute_strategy):
            return {name: tf.reshape(value, (1,)) for name, value in logs.items()}  # Keras reduces along axis 0
        return logs

    def _follow(self):
        """Moves the averages: in the first steps faster, for they begin at weights that have learned nothing."""
        done = tf.cast(self._optimizer_of(self.players()[-1]).iterations, tf.float32)
        decay = tf.minimum(self.ema, (1 + done) / (10 + done))
        for name in self.averaged:
            network, twin = getattr(self, name), getattr(self, f"ema_{name}")
            for weight, average in zip(network.weights, twin.weights, strict=True):
                if weight.trainable:
                    kept = tf.cast(decay, weight.dtype)
                    average.assign(kept * average + (1 - kept) * weight)
                else:
                    average.assign(weight)  # running statistics, which are averages already

    # --- fit, evaluate -----------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> keras.callbacks.History:
        """Trains as `keras.Model.fit` does.

        Args:
            x: images (float32 NHWC in [-1, 1]), a dict of named arrays, a `tf.data.Dataset` of dicts, tensors or
                tuples, a `keras.utils.PyDataset` or a generator.
            y: labels, for arrays.
            batch_size: examples in a step, for arrays; 32 by default. A model that takes several steps of one player
                in a round splits them.
            epochs: the epoch to stop after.
            verbose: as in Keras.
            callbacks: Keras callbacks; `keras_gen.callbacks.Checkpoint` resumes exactly, in the middle of an epoch too.
            validation_split: the last part of the arrays, in [0, 1), kept for validation.
            validation_data: anything that `x`, or `(x, y)`, may be.
            shuffle: arrays are put in a new order each epoch, by the model's seed.
            class_weight: not supported.
            sample_weight: not supported.
            initial_epoch: the epoch to begin with.
            steps_per_epoch: steps that make an epoch; by default one pass.
            validation_steps: as in Keras.
            validation_batch_size: as `batch_size`.
            validation_freq: as in Keras.

        Raises:
            UsageError: data that this model cannot be trained on, said before the first step.
            DamagedError: NaN in the data.
        """
        fitting.refuse(class_weight=class_weight, sample_weight=sample_weight)
        if not self.compiled:
            raise UsageError("the model is not compiled; call compile() first")
        x, y = fitting.pair(x, y)
        if validation_split and validation_data is None:
            x, validation_data = fitting.split(unpack((x, y), self.data_names), validation_split)
            y = None
        feed = fitting.training(self, x, y, batch_size, shuffle, steps_per_epoch)
        if validation_data is not None:
            size = validation_batch_size or batch_size
            validation_data, whole = fitting.evaluation(self, validation_data, None, size, feed)
            validation_steps = validation_steps or whole
        keeper = self.__dict__["_keeper"] = _keeper(callbacks)
        try:
            with distribution.lost_worker(self.distribute_strategy):
                place = keeper.restore(self) if keeper else None
            epoch, step = place or (initial_epoch, 0)
            # Each pass has an order of its own, in one `fit` of many epochs as in many of one.
            order = keeper.order if place else self._epochs_served - epoch
            if keeper:
                keeper.order = order
            self.__dict__["_schedule"] = fitting.Schedule(
                feed.steps if feed.exact else None, self.steps_per_execution, step, feed.discard(epoch, step, place)
            )
            with feed.errors(), distribution.lost_worker(self.distribute_strategy):
                history = super().fit(
                    feed.at(order + epoch, step),
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=callbacks,
                    validation_data=validation_data,
                    shuffle=shuffle and isinstance(x, keras.utils.PyDataset),
                    initial_epoch=epoch,
                    steps_per_epoch=feed.steps,
                    validation_steps=validation_steps,
                    validation_freq=validation_freq,
                )
            if history.epoch:
                self.__dict__["_epochs_served"] = order + history.epoch[-1] + 1
        finally:
            if keeper:
                keeper.release()
        if keeper:
            keeper.raise_again()
        if epochs > epoch and not history.history and not self.stop_training:
            raise UsageError("the data set is empty: 0 batches; expected at least 1")
        return history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Returns the mean losses on a data set, with the same random draws in every call; arguments as in `fit`."""
        fitting.refuse(sample_weight=sample_weight)
        settings = {"verbose": verbose, "steps": steps, "callbacks": callbacks, "return_dict": return_dict, **kwargs}
        self.test_seed_generator.state.assign([0, 0])
        if kwargs.get("_use_cached_eval_dataset"):  # Keras' own call, at the end of an epoch
            interrupted = self._keeper is not None and self._keeper.interrupted is not None
            return {} if interrupted else super().evaluate(x, y, **settings)
        x, y = fitting.pair(x, y)
        feed = fitting.Feed.empty()
        data, whole = fitting.evaluation(self, x, y, batch_size, feed)
        settings["steps"] = steps or whole
        with feed.errors(), distribution.lost_worker(self.distribute_strategy):
            return super().evaluate(data, **settings)

    def order_seed(self) -> int:
        """Returns the seed of the order of arrays in `fit`, which a resumed model shares."""
        return self.seed or 0

    def make_train_function(self, force: bool = False) -> Any:
        """Compiles the step, and plays it by the schedule of this `fit`."""
        self.train_function = getattr(self.train_function, "step", self.train_function)
        super().make_train_function(force)
        schedule = self.__dict__.pop("_schedule", None)
        if schedule is None or not schedule.needed:
            return
        rest, together = self._make_function(self.train_step), self.steps_per_execution

        def take_rest(iterator):
            self.steps_per_execution = schedule.rest  # Keras reads it in the call
            try:
                return rest(iterator)
            finally:
                self.steps_per_execution = together

        self.train_function = schedule.play(self.train_function, take_rest, self.get_metrics_result)

    def _maybe_symbolic_build(self, *args, **kwargs):
        """Does nothing: the networks are built by the constructor, and a trial step would draw random numbers."""

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
        with files.beside(path) as temporary:
            super().save(temporary, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        """Writes what Keras leaves out: the state of every seed generator, and how often data were passed through."""
        super().save_own_variables(store)
        for index, generator in enumerate(adopt(self)):
            store[f"seed_{index}"] = np.asarray(generator.state)
        store["epochs_served"] = np.asarray(self._epochs_served)

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        super().load_own_variables({name: store[name] for name in store.keys() if name.isdecimal()})
        for index, generator in enumerate(adopt(self)):
            generator.state.assign(np.asarray(store[f"seed_{index}"]))
        self.__dict__["_epochs_served"] = int(np.asarray(store["epochs_served"]))


def _keeper(callbacks):
    """Returns the callback that saves and restores the state of training, if there is one."""
    listed = getattr(callbacks, "callbacks", callbacks) or ()
    listed = listed if isinstance(listed, (list, tuple)) else (listed,)
    return next((callback for callback in listed if isinstance(callback, Checkpoint)), None)


def _shared(networks):
    """Returns the path of a variable that two of the networks hold, if there is one."""
    owner = {}
    for network in networks:
        for variable in network.variables:
            if owner.setdefault(id(variable), network) is not network:
                return variable.path
    return None


def _copy(network, name):
    """Returns a network of the same layers and weights, for a moving average."""
    try:
        twin = keras.models.clone_model(network)
    except (ValueError, TypeError):
        raise UsageError(
            f"ema needs a functional or sequential {name}, not {type(network).__name__}; leave ema out"
        ) from None
    twin.set_weights(network.get_weights())
    twin.trainable = False
    return twin


def _total(player, terms):
    return tf.add_n([player.weights.get(name, 1.0) * value for name, value in terms.items()])


def _rows(batch):
    return tf.shape(next(iter(batch.values())))[0]


def _fraction(part, batch, parts):
    return tf.cast(_rows(part), tf.float32) / tf.cast(tf.maximum(_rows(batch), parts), tf.float32)


def _added(sums, gradients):
    """Adds gradients, of which some may be missing."""
    if sums is None:
        return gradients
    return [
        b if a is None else a if b is None else tf.convert_to_tensor(a) + tf.convert_to_tensor(b)
        for a, b in zip(sums, gradients, strict=True)
    ]


def _share(batch):
    """Returns this replica's part of the global batch, in (0, 1]."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 1.0
    rows = tf.cast(_rows(batch), tf.float32)
    return rows / context.all_reduce("sum", rows)


def _optimizers(players, given, auto_scale_loss):
    """Returns the optimizer of each player, by the name of `compile`'s argument for it."""
    known = [player.prefixed("optimizer") for player in players]
    for word in given:
        if word not in known:
            raise UsageError(f"compile() has no argument {word!r} here; {near_misses(word, known)}")
    instances = [id(choice) for choice in given.values() if isinstance(choice, keras.optimizers.Optimizer)]
    if len(set(instances)) < len(instances):
        raise UsageError("two players were given one optimizer instance; give each its own")
    return {
        name: _optimizer(player, given.get(name), auto_scale_loss) for name, player in zip(known, players, strict=True)
    }


def _optimizer(player, choice, auto_scale_loss):
    try:
        made = player.optimizer() if choice is None else keras.optimizers.get(choice)
    except (ValueError, TypeError):
        known = [name for name in dir(keras.optimizers) if name[0].isupper() and name != "Optimizer"]
        raise UsageError(
            f"{player.prefixed('optimizer')}={choice!r} is not an optimizer; {near_misses(str(choice), known)}"
        ) from None
    half = any(
        layer.dtype_policy.name == "mixed_float16" for network in player.networks for layer in network._flatten_layers()
    )
    if half and auto_scale_loss and not isinstance(made, keras.optimizers.LossScaleOptimizer):
        made = keras.optimizers.LossScaleOptimizer(made)
    return made
