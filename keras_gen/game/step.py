"""The one `train_step`: every player moves its own networks, by its share of a batch, and nobody else's."""

from typing import Any

import tensorflow as tf

from keras_gen import distribution
from keras_gen.errors import UsageError
from keras_gen.game import averages
from keras_gen.game.batch import Batch, unpack
from keras_gen.layers.spectral import iterated


class Step:
    """Methods of a `GenerativeModel` that play one round on one batch."""

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Plays one round: every player moves its own networks and nobody else's."""
        batch = self._batch(data)
        play = self._simultaneous if self.update == "simultaneous" else self._alternating
        # Where the data ends, TensorFlow would otherwise still count a step and draw random numbers for it.
        with tf.control_dependencies(tf.nest.flatten(dict(batch))):
            self._record(play(batch), batch)
            if self.ema is not None:
                self._follow()
            return self._logs()

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Computes every player's loss on one batch, moving nothing."""
        batch = self._batch(data)
        with tf.control_dependencies(tf.nest.flatten(dict(batch))):
            share = _share(batch)
            self._record([(player, player.loss(batch, False), share) for player in self.players()], batch)
            return self._logs()

    def _batch(self, data):
        return Batch({name: tf.convert_to_tensor(value) for name, value in unpack(data, self.data_names).items()})

    def _simultaneous(self, batch):
        """All losses on one forward pass and on the same weights, then all updates."""
        for player in self.players():
            if player.steps * player.replays > 1:
                raise UsageError(
                    f"player {player.name!r} takes {player.steps * player.replays} steps, and update = 'simultaneous' "
                    "has one for each; set update = 'alternating'"
                )
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
        held = [(state, tf.convert_to_tensor(state)) for state in iterated(self)] if parts > 1 else []
        for index in range(parts):
            part = batch.part(index, parts)
            for state, value in held if index else ():
                state.assign(value)  # every part meets what the whole batch would, and leaves what it would
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
        return self._optimizer_of(player).scale_loss(player.total(terms) * share)

    def _record(self, played, batch):
        """Adds the losses to their means, which weigh a batch by its rows; on replicas, by those that a loss saw."""
        rows = tf.cast(_rows(batch), tf.float32)
        whole = _share(batch) if len({id(share) for *_, share in played}) > 1 else played[0][-1]
        total = 0.0
        for player, values, share in played:
            loss, weight = player.total(values), rows * (share / whole)
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
        taken, optimizer = self.ema_steps, self._optimizer_of(self.players()[-1])
        # A file of before this number holds none: then it is the optimizer's, which has counted this step already.
        taken.assign(tf.where(taken < 0, tf.cast(optimizer.iterations, taken.dtype), taken + 1))
        done = tf.cast(taken, tf.float32)
        decay = tf.minimum(self.ema, (1 + done) / (10 + done))
        for name in self.averaged:
            averages.follow(getattr(self, f"ema_{name}"), getattr(self, name), decay, self.ema_statistics)


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
