"""The options of every command. Nothing here needs TensorFlow."""

import argparse
import ast
import difflib
import math
import re
import sys
from collections.abc import Sequence

from keras_gen import __version__
from keras_gen.cli.command import Parser
from keras_gen.errors import UsageError
from keras_gen.registry import names

PROGRAM = "python -m keras_gen"
STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Returns the options of a command.

    Args:
        argv: the arguments.

    Raises:
        UsageError: an argument is missing, not known or of another type.
    """
    top, commands = _parser()
    if not [word for word in argv if word != "--debug"]:
        top.print_help(sys.stderr)
        raise UsageError(f"no command was given; try {PROGRAM} list")
    options, rest = top.parse_known_args(list(_joined(argv)))
    if rest:
        known = [name for action in commands[options.command]._actions for name in action.option_strings]
        known = [name for name in known if name not in ("-h", "--help")]  # which is no way out
        near = difflib.get_close_matches(rest[0].partition("=")[0], known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"see {PROGRAM} {options.command} --help"
        raise UsageError(f"argument {_cut(rest[0])} is not known; {hint}")
    return options


def _joined(argv):
    """Returns the arguments with `--range -1,1` as one word: argparse takes a value that begins so for an option."""
    words = iter(argv)
    for word in words:
        following = next(words, None) if word == "--range" else None
        yield word if following is None else f"{word}={following}"


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    top = Parser(prog=PROGRAM, description="Trains generative models and draws from them.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"keras_gen {__version__}")
    top.add_argument("--debug", action="store_true", help="show the libraries' messages and tracebacks")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for name, add, text in (
        ("list", None, "Lists the models."),
        ("train", _train, "Trains a model; the same command goes on after an interruption."),
        ("sample", _sample, "Draws samples from a trained model, without its data."),
        ("translate", _translate, "Makes images of images, such as photographs, without their data."),
        ("upscale", _upscale, "Makes pictures larger, in pieces where they are large, without any data."),
        ("evaluate", _evaluate, "Measures a trained model on real images that it was not trained on."),
        ("benchmark", _benchmark, "Trains a model by its recipe with several seeds, and evaluates each run."),
        ("explore", _explore, "Draws pictures of a trained model's latent space."),
        ("export", None, "Writes ONNX and TFLite files that were read back and agree with Keras."),
    ):
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if add:
            add(command)
        # Not set here by default: it would overwrite the one given before the command.
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="as before the command")
    return top, dict(commands.choices)


def _train(command) -> None:
    add = command.add_argument
    add("name", metavar="NAME", help=f"the model: {', '.join(names())}")
    data = "digits (default), the name of a tensorflow-datasets set, an .npz or .npy file, or a folder or zip of "
    data += "images; of gpt, docstrings (default), such a name, a .txt file, several (a.txt,b.txt), or a folder of them"
    add("--data", metavar="DATA", help=data)
    add("--split", default="train", metavar="SPLIT", help="part of the data to train on, or all (default: train)")
    add("--image-size", type=_size, metavar="N|HxW", help="crop and resize the images (default: as they are)")
    channels = "1 is gray, 3 is RGB, 4 is RGB with transparency (default: as the data has, pictures on white)"
    add("--channels", type=int, choices=(1, 3, 4), help=channels)
    _reading(add)
    _windows(add)
    add("--validate", action="store_true", help="compute the losses on the test split after each epoch")
    length = "train until so many {} are done, earlier runs in this folder included (default: the model's recipe)"
    until = command.add_mutually_exclusive_group().add_argument
    until("--epochs", type=_count, metavar="N", help=length.format("passes through the data"))
    until("--steps", type=_count, metavar="N", help=length.format("train steps"))
    add("--batch-size", type=_count, metavar="N", help="images for one update (default: the model's recipe)")
    rate = "of all optimizers, or d=X,g=Y for some players (default: the paper's)"
    add("--learning-rate", "--lr", type=_rates, metavar="X", help=rate)
    decay = "share of the steps, in [0, 1), after which learning rates fall linearly to 0 (default: the recipe's)"
    add("--decay-from", type=_share, metavar="SHARE", help=decay)
    parts = "pass each batch in so many parts: the update of the whole, less memory (default: the recipe's, or 1)"
    add("--accumulate", type=_count, metavar="N", help=parts)
    devices = "auto (default), one, mirrored (all GPUs of this machine), multi_worker (TF_CONFIG, Slurm) or tpu"
    add("--strategy", default="auto", choices=STRATEGIES, metavar="NAME", help=devices)
    add("--replicas", type=_count, metavar="N", help="of mirrored: so many GPUs or, without one, logical CPUs")
    many = "start N processes on this machine and train in all of them together; the batch is split among them"
    add("--workers", type=_count, metavar="N", help=many)
    add("--precision", choices=PRECISIONS, metavar="POLICY", help=f"{', '.join(PRECISIONS)} (default: float32)")
    setting = "an argument of the model's constructor, such as latent_dim=64; may be repeated"
    add("--set", action="append", default=[], type=_pair, metavar="KEY=VALUE", dest="settings", help=setting)
    add(
        "--recipe",
        metavar="FILE",
        help="a .toml file in place of the model's recipe, of which it may be a changed copy",
    )
    add("--like", metavar="RUN", help="train as another run of this model was trained; what is given here goes first")
    add("--init-from", metavar="RUN", help="begin with the weights of another run of this model")
    add(
        "--seed", type=_seed, default=0, metavar="N", help="of the weights, the data's order and all draws (default: 0)"
    )
    add("--output", metavar="FOLDER", help="the run's folder (default: saved_models/NAME)")
    resume = "go on with the run in the folder (default); --no-resume moves it aside to FOLDER.1"
    add("--resume", action=argparse.BooleanOptionalAction, default=True, help=resume)
    add(
        "--checkpoint-every",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="time between checkpoints (default: 60)",
    )
    add("--samples", type=_count, default=64, metavar="N", help="images in samples.png (default: 64)")
    add("--tensorboard", action="store_true", help="write TensorBoard logs into the folder, too")


def _sample(command) -> None:
    add = command.add_argument
    add("source", metavar="RUN", help="a run in saved_models, its folder, or a .keras, .onnx or .tflite file")
    add("-n", type=_count, metavar="N", help="number of samples (default: 64; of text 1)")
    add("--seed", type=_seed, default=0, metavar="N", help="the same seed gives the same samples (default: 0)")
    label = "class of the samples by its name or number, or several in turn (default: all classes in turn)"
    add("--label", type=_classes, metavar="K[,K...]", help=label)
    add("--prompt", metavar="TEXT", help="text to be continued, by a model of text")
    given = (
        "an input of the sampler that is not to be drawn, such as truncation=0.7, or how text is drawn: length=200, "
    )
    given += "temperature=0.8, top_k=40, top_p=0.9, beams=4; may be repeated"
    add("--set", action="append", default=[], type=_given, metavar="INPUT=VALUE", dest="inputs", help=given)
    output = "x.png: a grid, a folder: single PNG files, x.npz: arrays (default: grid.png in the run's folder); of "
    output += "text x.txt, x.json or x.png, a page (default: printed)"
    add("-o", "--output", metavar="PATH", help=output)
    add("--columns", type=_count, metavar="N", help="images in a row of the grid (default: a square)")
    add("--batch-size", type=_count, default=64, metavar="N", help="samples computed at once (default: 64)")


def _translate(command) -> None:
    add = command.add_argument
    add("source", metavar="RUN", help="a run in saved_models, its folder, or a .keras, .onnx or .tflite file")
    add("image", metavar="IMAGE", help="a picture or a map of classes, or a folder of them")
    add("-o", "--output", required=True, metavar="PATH", help="x.png, or a folder, where they keep their names")
    add("--to", choices=("a", "b"), metavar="a|b", help="which way, of a model that knows both (default: b)")
    add("--seed", type=_seed, default=0, metavar="N", help="of what else is drawn (default: 0)")
    style = "a picture whose style is taken, by adain, or by a model of label maps with style=True"
    add("--style", metavar="IMAGE", help=style + " (whose default is drawn by the seed)")
    given = "an input of the model that is not to be drawn, such as strength=0.5 of adain; may be repeated"
    add("--set", action="append", default=[], type=_given, metavar="INPUT=VALUE", dest="inputs", help=given)
    add("--longest", type=_count, metavar="N", help="shrink pictures to this longest side first, also that of --style")


def _upscale(command) -> None:
    add = command.add_argument
    add("source", metavar="RUN", help="a run in saved_models, its folder, or a .keras, .onnx or .tflite file")
    add("image", metavar="IMAGE", help="a picture, or a folder of them")
    add("-o", "--output", required=True, metavar="PATH", help="x.png, or a folder, where they keep their names")
    tile = "compute pieces of NxN pixels and what is around them, whose seams do not show: for large pictures"
    add("--tile", type=_count, metavar="N", help=tile)


def _evaluate(command) -> None:
    add = command.add_argument
    add("source", metavar="RUN", help="a run in saved_models, its folder, or a .keras file")
    add("--data", metavar="DATA", help="data, as in train (default: the run's)")
    _reading(add, " (default: the run's)")
    add("-n", type=_count, default=5000, metavar="N", help="samples; at most half of the test images (default: 5000)")
    add("--seed", type=_seed, default=0, metavar="N", help="of the samples and of the judges (default: 0)")
    add("-o", "--output", metavar="PATH", help="the report (default: evaluation.json in the run's folder)")


def _benchmark(command) -> None:
    add = command.add_argument
    add("name", metavar="NAME", help=f"the model: {', '.join(names())}")
    add(
        "--data",
        metavar="DATA",
        help="images, or text, with a test split, as in train (default: as in train)",
    )
    add("--image-size", type=_size, metavar="N|HxW", help="as in train")
    _reading(add)
    _windows(add)
    add("--batch-size", type=_count, metavar="N", help="as in train")
    add("--recipe", metavar="FILE", help="as in train; its thresholds are what is expected")
    add("--seeds", type=_count, default=3, metavar="N", help="runs, with the seeds 0, 1, ... (default: 3)")
    until = command.add_mutually_exclusive_group().add_argument
    until("--epochs", type=_count, metavar="N", help="passes through the data (default: the model's recipe)")
    until("--steps", type=_count, metavar="N", help="train steps (default: the model's recipe)")
    add("--set", action="append", default=[], type=_pair, metavar="KEY=VALUE", dest="settings", help="as in train")
    add("-n", type=_count, default=5000, metavar="N", help="samples; at most half of the test images (default: 5000)")
    add("--output", metavar="FOLDER", help="holds the runs and benchmark.json (default: saved_models/benchmarks/NAME)")


def _explore(command) -> None:
    add = command.add_argument
    add("source", metavar="RUN", help="a run in saved_models, its folder, or a .keras, .onnx or .tflite file")
    actions = ("interpolate", "manifold", "arithmetic", "traverse", "mix", "project")
    what = "interpolate between samples, a manifold of two directions, arithmetic on means of samples, traverse one "
    what += "direction after the other, mix styles of samples (coarse ones of a row, fine ones of a column), or "
    what += "project real images into the latent space"
    add("action", choices=actions, metavar="ACTION", help=what)
    add("--seed", type=_seed, default=0, metavar="N", help="of the samples, as in the command sample (default: 0)")
    add("-n", type=_count, metavar="N", help="interpolate, project, mix: number of rows (default: 8; 6)")
    steps = "pictures on a way or a side; project: steps of the descent (default: 10 to 16; project: 300)"
    add("--steps", type=_count, metavar="N", help=steps)
    add(
        "--how",
        choices=("slerp", "lerp"),
        metavar="slerp|lerp",
        help="on a circle or a straight line (default: by the prior)",
    )
    where = "traverse: which to move; manifold: two (default: the directions that change the images most); mix: layers "
    where += "that have the column's style (default: the second half)"
    add("--coordinates", type=_coordinates, metavar="K[,K...]", help=where)
    add("--reach", type=_reach, metavar="X", help="traverse: from -X to X (default: 3; for uniform latents 1 to 1.7)")
    terms = "arithmetic: numbers of samples, from 0 in the order of sample; of each group the mean is taken "
    add("--terms", metavar="K,K-K,K+K,K", help=terms + "(default: 0,1,2-3,4,5+6,7,8)")
    add("--data", metavar="DATA", help="project, interpolate: real images, as in train (project's default: digits)")
    add("--split", metavar="SPLIT", help="part of the data, or all (default: test)")
    _reading(add)
    add("--label", type=_class, metavar="K", help="class of all pictures, by its name or number (default: number 0)")
    add("--input", default="latent", metavar="NAME", help="input of the model that moves (default: latent; style: w)")
    add("-o", "--output", metavar="PATH", help="x.png or x.gif (default: ACTION.png in the run's folder)")


def _windows(add) -> None:
    windows = "train on windows of images that are an eighth larger, mirrored at random, of models that translate"
    add("--jitter", action="store_true", default=None, help=windows)


def _reading(add, default="") -> None:
    """Adds what is said of the values and the files of data."""
    stored = f"of the stored values, which become black and white, such as 0,16{default or ' (default: by their type)'}"
    add("--range", type=_range, metavar="LOW,HIGH", help=stored)
    named = "of an .npz, which arrays a model translates, such as source=edges,target=photo, or "
    named += "segmentation=map,image=photo"
    add("--arrays", type=_arrays, metavar="S=NAME,T=NAME", help=named + default)
    way = "b_to_a makes the sources of what is stored as targets, of models that translate (default: a_to_b)"
    add("--direction", choices=("a_to_b", "b_to_a"), metavar="a_to_b|b_to_a", help=way)
    damaged = "leave damaged images of a folder or zip out, and say which"
    add("--skip-damaged", action="store_true", default=None, help=damaged + default)


def _expect(fine: bool, text: str, expected: str) -> None:
    if not fine:
        raise argparse.ArgumentTypeError(f"{_cut(text)} is not {expected}")


def _cut(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _count(text: str) -> int:
    _expect(re.fullmatch(r"0*[1-9]\d{0,11}", text) is not None, text, "a whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    _expect(re.fullmatch(r"\d{1,10}", text) is not None and int(text) < 2**32, text, "a whole number from 0 to 2**32-1")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _seconds(text: str) -> float:
    _expect(0 <= _number(text) < math.inf, text, "a number of seconds")
    return float(text)


def _reach(text: str) -> float:
    _expect(0 < _number(text) < math.inf, text, "a number above 0, such as 3")
    return float(text)


def _arrays(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    fine = [name.strip() for name, _, value in pairs if value.strip()]
    known = sorted(fine) in (["source", "target"], ["image", "segmentation"])
    _expect(known, text, "names of two arrays, such as source=edges,target=photo, or segmentation=map,image=photo")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _range(text: str) -> tuple[float, float]:
    ends = [_number(part) for part in text.split(",")]
    fine = len(ends) == 2 and all(map(math.isfinite, ends)) and ends[0] < ends[1]
    _expect(fine, text, "a range such as 0,16: the lowest and the highest stored value")
    return ends[0], ends[1]


def _share(text: str) -> float:
    _expect(0 <= _number(text) < 1, text, "a share in [0, 1), such as 0.5")
    return float(text)


def _rates(text: str) -> float | dict[str, float]:
    """Parses `1e-4` or `d=1e-4,g=2e-4`."""
    pairs = [part.partition("=") for part in text.split(",")] if "=" in text else [("", "=", text)]
    for _, equals, value in pairs:
        _expect(bool(equals) and 0 <= _number(value) < math.inf, text, "a learning rate such as 2e-4, or d=1e-4,g=2e-4")
    return {name.strip(): float(value) for name, _, value in pairs} if "=" in text else float(text)


def _size(text: str) -> int | tuple[int, int]:
    """Parses `28` or `48x64` (height, width)."""
    found = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text)
    _expect(found is not None, text, "a size such as 28, or 48x64 (height x width)")
    return (int(found[1]), int(found[2])) if found[2] else int(found[1])


def _coordinates(text: str) -> list[int]:
    parts = text.split(",")
    _expect(all(re.fullmatch(r"\s*\d{1,9}\s*", part) for part in parts), text, "a coordinate such as 3, or 0,1,2")
    return [int(part) for part in parts]


def _classes(text: str) -> str:
    _expect(all(part.strip() for part in text.split(",")), text, "a class such as 3, or 0,1,2, or their names")
    return text


def _class(text: str) -> str:
    _expect(bool(text.strip()), text, "a class such as 3, or its name")
    return text


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    _expect(bool(equals) and key.strip().isidentifier(), text, "of the form key=value")
    return key.strip(), value.strip()


def _given(text: str) -> tuple[str, float | int | list]:
    """Parses `truncation=0.7`, `category=3` or `code=1,-1`."""
    name, value = _pair(text)
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    numbers = found if isinstance(found, (list, tuple)) else [found]
    fine = all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers)
    own = " (there is --prompt for text)" if name == "prompt" else ""
    _expect(fine, text, f"of the form input=number, or input=0.5,-1 for a vector{own}")
    return name, list(found) if isinstance(found, (list, tuple)) else found
