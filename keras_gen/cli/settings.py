"""What a run is made of: constructor arguments, data, batch size, optimizers, and how long it lasts."""

import argparse
import copy
import functools
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras

from keras_gen import registry
from keras_gen.cli import given
from keras_gen.data import Examples, examples, label_maps, pairs, texts
from keras_gen.errors import UsageError, near_misses
from keras_gen.files import archive
from keras_gen.files.runs import find_model
from keras_gen.files.writing import shown
from keras_gen.game.batch import check_shapes
from keras_gen.game.config import KERAS_ARGUMENTS, constructor_arguments, former
from keras_gen.game.model import GenerativeModel
from keras_gen.game.optimizers import HoldThenLinear
from keras_gen.tokenizer import Tokenizer


class Job(NamedTuple):
    """A training job, before its model is built."""

    name: str
    cls: type
    arguments: dict[str, Any]  # of the constructor, without seed and precision
    examples: Examples
    validation: Examples | None
    recipe: dict[str, Any]
    batch_size: int
    identity: dict[str, Any]  # what a resumed run must share


def job(options: argparse.Namespace) -> Job:
    """Reads the data and settles every setting of a run.

    Args:
        options: of `train`.

    Raises:
        UsageError: an argument that the model does not have, or data that do not fit it.
    """
    cls = registry.model_class(options.name)
    given.check(options)
    read = _text_reader(cls, options) if "tokenizer" in constructor_arguments(cls) else _image_reader(cls, options)
    usual = given.usual(options)
    before = former(cls) if options.like else {}  # what a run of an earlier version had without naming it
    chosen = {**before, **usual.get("settings", {}), **given.arguments(options.name, options.settings)}
    data = read(options.split, chosen)
    validation = read("test", chosen) if options.validate else None
    digest = data.digest  # of the data as they are, whatever a model calls their classes
    of, known = _known_classes(options, chosen)
    data = data.labelled_as(known, of)
    validation = validation.labelled_as(known, of) if validation is not None else None
    follows = {name: value for name, value in data.follows().items() if name in constructor_arguments(cls)}
    arguments = {**chosen, **follows} if data.tokenizer else {**follows, **chosen}
    if arguments.get("num_classes") != len(data.classes) and "class_names" not in chosen:
        arguments.pop("class_names", None)  # another number of classes was asked for
    batch_size = options.batch_size or min(usual["batch_size"], len(data))
    rate = options.learning_rate if options.learning_rate is not None else usual.get("learning_rate")
    decay = options.decay_from if options.decay_from is not None else usual.get("decay_from")
    parts = options.accumulate or usual.get("accumulate", 1)
    identity = {
        "model": options.name,
        "configuration": _configuration(cls, arguments),
        "split": options.split,
        "digest": digest,
        "seed": options.seed,
        "precision": options.precision,
        "batch_size": batch_size,
        "learning_rate": rate,
        "init_from": options.init_from,
        **({"optimizer": usual["optimizer"]} if "optimizer" in usual else {}),
        **({"decay_from": decay} if decay is not None else {}),
        **({"accumulate": parts} if parts > 1 else {}),
    }
    return Job(options.name, cls, arguments, data, validation, usual, batch_size, identity)


def _image_reader(cls, options):
    """Returns the function of a split, and of settings that only matter for classes in maps, to images."""
    size = {"image_size": options.image_size, "channels": options.channels, **given.reading(vars(options))}

    def read(split, settings):
        known = {"classes": settings.get("class_names") or (), "num_classes": settings.get("num_classes")}
        return images_of(cls.reads, options.data, split, train=True, **size, **known)

    return read


def images_of(
    reads: str,
    data: str,
    split: str,
    train: bool = False,
    classes: Sequence[str] = (),
    num_classes: int | None = None,
    **how: Any,
) -> Examples:
    """Reads one split of the images that a model's class reads.

    Args:
        reads: of the class: `"images"`, `"pairs"`, `"unpaired"` or `"labels"`.
        data: name or path.
        split: of the data.
        train: whether they are to be trained on: only then windows of images are served in their place.
        classes: names of a model's classes, which maps are read by.
        num_classes: how many there are to be in maps.
        **how: of `keras_gen.data.examples`, `keras_gen.data.pairs` or `keras_gen.data.label_maps`.

    Raises:
        UsageError: what is said of pairs, and the class reads others.
    """
    jitter, arrays, direction = (how.pop(name, None) for name in ("jitter", "arrays", "direction"))
    if direction and reads not in ("pairs", "unpaired"):
        raise UsageError(f"--direction {direction} is of models from one kind of images to another; leave it out")
    if reads == "images":
        if arrays:
            raise UsageError("--arrays is of models that make images of images, and this reads images; leave it out")
        if jitter:
            raise UsageError("--jitter is of models that translate; here give --set augment=... to a GAN")
        return examples(data, split, **how)
    how |= {"arrays": arrays, "jitter": bool(jitter) and train and split != "test"}
    if reads == "labels":
        return label_maps(data, split, classes=classes, num_classes=num_classes, **how)
    return pairs(data, split, kind=reads, direction=direction or "a_to_b", **how)


def _text_reader(cls, options):
    """Returns the function of a split and the model's settings to rows of tokens."""
    if options.image_size or options.channels:
        raise UsageError(f"--image-size and --channels are of images; {options.name} takes text")
    for name in given.reading(vars(options)):
        raise UsageError(f"--{name.replace('_', '-')} is of images; {options.name} takes text: leave it out")
    usual = _defaults(cls)
    old = _loaded(options.init_from).tokenizer if options.init_from else None

    @functools.cache
    def tokenizer(kind, size):
        return Tokenizer(old) if old else texts.tokenizer_for(kind, options.data, size)

    def read(split, settings):
        def setting(name):
            return settings.get(name, usual[name])

        if setting("start"):
            raise UsageError(
                "start=True is for sequences that have a beginning; rows of a text have none: leave it out"
            )
        one = tokenizer(settings.get("tokenizer", "characters"), settings.get("vocabulary", texts.SIZE))
        return texts.windows(options.data, split, cls.row(setting("context")), one)

    return read


def _configuration(cls, arguments):
    """Returns the arguments with the constructor's defaults, as JSON holds them."""
    hidden = (*given.ELSEWHERE, *KERAS_ARGUMENTS, *given.INJECTED)
    known = constructor_arguments(cls)
    usual = {name: value for name, value in _defaults(cls).items() if name in known and name not in hidden}
    found = json.loads(json.dumps({**usual, **arguments}, default=str, sort_keys=True))
    found.pop("class_names", None)  # they stand with the data; runs of before go on without them
    return found


def _defaults(cls):
    """Returns the defaults of the constructor's arguments, inherited ones too."""
    found = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(GenerativeModel) + 1]):
        for name, parameter in inspect.signature(base.__init__).parameters.items():
            if parameter.default is not parameter.empty:
                found[name] = parameter.default
    return found


def build(job: Job, options: argparse.Namespace) -> Any:
    """Builds the model of a job, under the scope of its strategy.

    Args:
        job: of `job()`.
        options: of `train`.

    Raises:
        UsageError: a value that the constructor does not take, or data that do not fit the model.
    """
    keras.utils.set_random_seed(options.seed)
    try:
        model = job.cls(**job.arguments, seed=options.seed, dtype=options.precision)
    except UsageError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        told = ", ".join(f"{key}={value}" for key, value in options.settings) or "these settings"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{job.cls.__name__} cannot be built with {shown(told, 60)}: {reason}") from error
    if "label" in model.expects() and "label" not in job.examples.shapes():
        raise UsageError(
            f"{shown(job.examples.name, 50)} has no labels, which {job.name} is conditioned on: give a folder with a "
            "folder for each class, an .npz with y_train, or another model"
        )
    check_shapes(job.examples.shapes(), model.expects())
    rows = rows_of(job, model)
    if rows > len(job.examples):
        kind = "rows" if "token" in job.examples.arrays else "images"
        one = f"a batch of {rows} {kind} (--batch-size {job.batch_size})"
        most = len(job.examples) * job.batch_size // rows
        raise UsageError(
            f"{one} is larger than the data: {shown(job.examples.name, 50)} has {len(job.examples)}; "
            f"give at most --batch-size {most}"
        )
    if options.init_from:
        initialize(model, options.init_from)
    return model


def prepare(job: Job, model: Any, stage: str | None, steps: int) -> None:
    """Compiles a model for one of its stages, under the scope of its strategy.

    Args:
        job: the run's.
        model: of the job.
        stage: one of the model's, if it has any.
        steps: of this stage, after which learning rates that fall have fallen to 0.

    Raises:
        UsageError: a player that the model does not have, a rate to fall that follows a schedule already, or stages
            that are too short.
    """
    identity = job.identity
    model.check_steps(steps)
    _check_players(model, identity["learning_rate"])
    model.stage = stage  # whose players are asked for
    made = _optimizers(model, identity["learning_rate"], identity.get("optimizer"))
    if "decay_from" in identity:
        for player in model.players():
            optimizer = made.get(player.prefixed("optimizer")) or player.paper_optimizer()
            made[player.prefixed("optimizer")] = _falling(optimizer, identity["decay_from"], steps * _updates(player))
    model.compile(stage=stage, accumulate=identity.get("accumulate", 1), **made)


def _updates(player):
    """Returns the updates of a player in one train step."""
    return player.steps * player.replays


def _falling(optimizer, share, updates):
    """Returns an optimizer whose learning rate falls to 0 after so many updates."""
    config = optimizer.get_config()
    rate = config["learning_rate"]
    if not isinstance(rate, (int, float)):
        raise UsageError(
            f"--decay-from {share} is of a constant learning rate, and this model's follows a schedule already: "
            "give --learning-rate, too, or leave it out"
        )
    hold = min(round(share * updates), updates - 1)
    falling = HoldThenLinear(rate, hold, updates - hold)
    return type(optimizer).from_config({**config, "learning_rate": falling})


def rows_of(job: Job, model: Any) -> int:
    """Returns the images of one train step: a batch for each update of the busiest player."""
    return job.batch_size * max(player.steps for player in model.players())


def _check_players(model, rate):
    """Refuses rates of players that a model has in none of its stages, nor in one that a setting leaves out."""
    names = []
    for stage in dict.fromkeys((*type(model).stages, *model.stages)) or (None,):
        model.stage = stage
        names += [player.name for player in model.players()]
    for name in rate if isinstance(rate, Mapping) else ():
        if name not in names:
            raise UsageError(f"--learning-rate names the player {name!r}; {near_misses(name, filter(None, names))}")


def _optimizers(model, rate, described):
    """Returns the players' own optimizers, or those of a recipe, where these or their learning rate are another."""
    players = model.players()
    names = [player.name for player in players]
    rates = dict.fromkeys(names, rate) if rate is not None and not isinstance(rate, Mapping) else rate or {}
    made = {}
    for player in players:
        if described or player.name in rates:
            optimizer = keras.optimizers.get(copy.deepcopy(described)) if described else player.paper_optimizer()
            changed = {"learning_rate": rates[player.name]} if player.name in rates else {}
            made[player.prefixed("optimizer")] = type(optimizer).from_config({**optimizer.get_config(), **changed})
    return made


def initialize(model: Any, source: str) -> None:
    """Copies the weights of another run of the same model.

    Args:
        model: to be trained.
        source: a run, its folder or a `.keras` file.

    Raises:
        UsageError: it is another model, or one of other sizes.
    """
    other = _loaded(source)
    where = f"--init-from {shown(source, 60)}"
    if type(other) is not type(model):
        raise UsageError(f"{where} is a {type(other).__name__}, not a {type(model).__name__}; give a run of that model")
    other.stage = model.stage  # of none yet: what all stages train
    ours, theirs = (_networks(one, averages=model.ema is not None) for one in (model, other))
    if len(ours) != len(theirs):
        raise UsageError(f"{where} has {len(theirs)} networks to train, not {len(ours)}; give the same --set")
    for one, two in zip(ours, theirs, strict=True):
        pairs = list(zip(one.weights, two.weights, strict=False))
        odd = next((pair for pair in pairs if tuple(pair[0].shape) != tuple(pair[1].shape)), None)
        if odd or len(one.weights) != len(two.weights):
            sizes = f": {tuple(odd[1].shape)} in place of {tuple(odd[0].shape)}" if odd else ""
            raise UsageError(f"{where} has other sizes in its {one.name}{sizes}; give the same --set and image size")
    for one, two in zip(ours, theirs, strict=True):
        one.set_weights(two.get_weights())


def _loaded(source):
    """Returns the model of `--init-from`."""
    from keras_gen.files.loading import load

    return load(find_model(source))


def _known_classes(options, chosen):
    """Returns what names the classes before the data do, and how: the setting, or the model of `--init-from`."""
    names = chosen.get("class_names")
    if isinstance(names, (list, tuple)):
        return "--set class_names", [str(one) for one in names]
    if not options.init_from or names or not chosen.get("num_classes", True):
        return "", ()
    config = archive.check(find_model(options.init_from))["config"]
    return f"the run {shown(options.init_from, 40)}", config.get("class_names") or ()


def _networks(model, averages):
    """Returns the networks that are trained, and those that are sampled with where these are averages of them."""
    trained = [network for player in model.players() for network in player.networks]
    return trained + ([model.network(name, training=False) for name in model.averaged] if averages else [])


def steps_asked(options: argparse.Namespace, steps_per_epoch: int) -> int | None:
    """Returns the total of train steps that was asked for, or `None` when it was not said."""
    if options.steps:
        return options.steps
    return options.epochs * steps_per_epoch if options.epochs else None
