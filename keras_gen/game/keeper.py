"""What `fit` asks of the callback that saves and restores the state of training."""

from typing import Any


class Keeper:
    """Base of such a callback; `keras_gen.callbacks.Checkpoint` is one.

    Attributes:
        order: which pass over the data the first epoch is, counted over all calls of `fit`.
        interrupted: the signal that ends training, if one has come.
    """

    order: int = 0
    interrupted: int | None = None

    def restore(self, model: Any) -> tuple[int, int] | None:
        """Puts a model back to where it was, and returns the epoch and the step in it to go on from, if any."""
        raise NotImplementedError

    def release(self) -> None:
        """Gives back what `restore` took; `fit` calls it however it ends."""
        raise NotImplementedError

    def raise_again(self) -> None:
        """Raises the signal that ended training, if one did."""
        raise NotImplementedError


def keeper_among(callbacks: Any) -> Keeper | None:
    """Returns the first keeper among the callbacks that `fit` was given."""
    listed = getattr(callbacks, "callbacks", callbacks) or ()
    listed = listed if isinstance(listed, (list, tuple)) else (listed,)
    return next((callback for callback in listed if isinstance(callback, Keeper)), None)
