"""`train`: one run in one folder, which the same command goes on with after an interruption."""

import argparse
import contextlib
import math
import os
import time
import warnings
from collections.abc import Iterator
from typing import Any

from keras_gen.cli import given, libraries
from keras_gen.errors import UsageError
from keras_gen.files.runs import RUNS, called
from keras_gen.files.writing import shown
from keras_gen.signatures.law import given_of


def run(options: argparse.Namespace) -> int:
    """Trains, or goes on, or says that there is nothing left to do.

    Args:
        options: of the command line.

    Returns:
        The exit code.
    """
    given.check(options)
    libraries.start(options.debug, told=True)
    from keras_gen import distribution, terminal
    from keras_gen.cli.folder import Folder

    with terminal.hold(options.debug):
        strategy = distribution.strategy(options.strategy, options.replicas)
    with distribution.lost_worker(strategy), _only_the_chief_speaks(strategy):
        return _run(options, strategy, Folder(options.output or RUNS / options.name))


def _run(options, strategy, folder):
    from keras_gen import distribution

    if folder.path.exists() and not folder.path.is_dir():
        raise UsageError(f"--output {shown(folder.path)} is a file; give a folder")
    with folder.held() if distribution.is_chief(strategy) else contextlib.nullcontext():
        return Training(options, folder, strategy).run()


@contextlib.contextmanager
def _only_the_chief_speaks(strategy) -> Iterator[None]:
    from keras_gen import distribution

    if distribution.is_chief(strategy):
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


class Training:
    """One call of `train`, from the settings to the last line.

    Args:
        options: of the command line.
        folder: of the run, held by the chief, who alone writes in it.
        strategy: that the model is made and trained under.

    Raises:
        UsageError: options that do not fit each other, the data, or the run in the folder.
        DamagedError: data or files that cannot be used.
    """

    def __init__(self, options: argparse.Namespace, folder: Any, strategy: Any):
        from keras_gen.cli import settings
        from keras_gen.cli.folder import compare
        from keras_gen.distribution import Workers
        from keras_gen.game.config import former

        self.options, self.folder, self.strategy = options, folder, strategy
        self.workers = Workers(strategy)
        _check_tensorboard(options.tensorboard)
        self.job = settings.job(options)
        self.old = folder.card() if options.resume else None
        if self.old:
            compare(self.old, self.job.identity, self.job.examples, folder.path, former(self.job.cls))
        self.metrics: dict[str, float] = (self.old or {}).get("metrics", {})
        self.workers.wait()  # everyone has read the card before the chief writes the next
        self.writer: Any = None
        self.began = time.monotonic()

    def run(self) -> int:
        """Does everything; returns the exit code."""
        if self.old and self._nothing_left():
            return 0
        self._build()
        if not self.options.resume:
            self._move_aside()
        self._write_card("training", self.keeper.steps_done)
        self._say_what()
        self._train()
        for stage in self.stages[self.stages.index(self.stage) + 1 :]:
            self._begin(stage)
            self._write_card("training", 0)
            self._train()
        self._finish()
        return 0

    # --- before ------------------------------------------------------------------------------------------------------

    def _build(self):
        from keras_gen.cli import settings

        options, job = self.options, self.job
        with self.strategy.scope():
            self.model = settings.build(job, options)
        self.rows = settings.rows_of(job, self.model)
        self.steps_per_epoch = job.examples.steps(self.rows, drop_remainder=True)
        self.target = self._target(self.steps_per_epoch)
        if self.old and "decay_from" in job.identity and self.target != self.old["target_steps"]:
            from keras_gen.cli.folder import WAY_OUT

            raise UsageError(
                f"{self.target} steps were asked for, but the learning rates of the run in "
                f"{shown(self.folder.path, 40)} fall to 0 at step {self.old['target_steps']}; give the same, {WAY_OUT}"
            )
        self.stages = self.model.stages or (None,)
        self._begin(self._stage_reached() if self.old else self.stages[0])
        if self.old:
            self._look_back()

    def _stage_reached(self):
        """Returns the stage to go on with: the last one that has left a checkpoint."""
        from keras_gen.callbacks import checkpoints

        begun = [stage for stage in self.stages if checkpoints(self._checkpoints(stage))]
        self.workers.wait()  # everyone has looked before the chief writes the next
        return begun[-1] if begun else self.stages[0]

    def _checkpoints(self, stage):
        return self.folder.checkpoints / stage if stage else self.folder.checkpoints

    def _begin(self, stage):
        """Compiles for a stage, with checkpoints of its own."""
        from keras_gen.callbacks import Checkpoint
        from keras_gen.cli import settings

        self.stage = stage
        with self.strategy.scope():
            settings.prepare(self.job, self.model, stage, self.target)
        self.keeper = Checkpoint(self._checkpoints(stage), every=self.options.checkpoint_every)

    def _target(self, steps_per_epoch):
        """Returns the total of steps: what is asked for, or what the run was begun with, or the recipe's."""
        from keras_gen.cli import settings

        asked = settings.steps_asked(self.options, steps_per_epoch)
        if asked is None and self.old:
            return self.old["target_steps"]
        usual = self.job.recipe.get("steps") or self.job.recipe["epochs"] * steps_per_epoch
        return asked if asked is not None else usual

    def _nothing_left(self):
        """Says so, if the run is finished and no more is asked for."""
        target = self._target(self.old["steps_per_epoch"])
        done = self.old.get("steps", 0)
        if self.old.get("state") != "finished" or target > done:
            return False
        more = f"for more give a larger --steps, such as {self.old['target_steps'] * 2}"
        if "decay_from" in self.job.identity:
            more = "its learning rates have fallen to 0: for more, give another --output with --init-from"
        print(f"{shown(self.folder.path)} is finished at step {done}; {more}")
        return True

    def _look_back(self):
        """Reads where the run stands, for the first line; `fit` reads it again when it begins."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `fit` will warn of a damaged checkpoint
            try:
                found = self.keeper.restore(self.model)
            finally:
                self.keeper.release()
        self.keeper.raise_again()
        if found is None and self.old.get("state") == "finished":
            raise UsageError(
                f"{shown(self.keeper.folder)} holds no checkpoint to go on from; "
                "give --no-resume, or another --output with --init-from"
            )

    def _move_aside(self):
        if not self.workers.chief:
            return
        aside = self.folder.move_aside()
        if aside:
            print(f"the old run is now {shown(aside)}")

    def _say_what(self):
        from keras_gen.data.messages import canonical

        job, options = self.job, self.options
        shapes = job.examples.shapes()
        kind = next(name for name in ("image", "target", "token") if name in shapes)
        sides = "x".join(map(str, shapes[kind][1:]))
        what = {"image": f"images {sides}", "token": f"rows of {sides} tokens"}
        both = "pairs of images" if job.cls.reads == "pairs" else "images of each kind, at most,"
        what |= {"image": f"images {sides} with maps of classes"} if "segmentation" in shapes else {}
        parts = [
            f"{len(job.examples)} {what.get(kind, f'{both} {sides}')}",
            f"batch {self.rows}",
            f"{self.target} steps ({self.target / self.steps_per_epoch:.4g} epochs)" + self._in_stages(),
            *([options.precision] if options.precision != "float32" else []),
            f"seed {options.seed}",
            *([f"{replicas} replicas"] if (replicas := self.strategy.num_replicas_in_sync) > 1 else []),
        ]
        print(f"{job.name} with {self.parameters():,} parameters on {shown(job.examples.name)}: {', '.join(parts)}")
        if job.examples.classes:
            print(f"classes: {_listed(job.examples.classes)}")
        if job.examples.held:
            print(f"{job.examples.held} more images are held out as the test split; --split all trains on them, too")
        if job.validation and canonical(options.split) == "all":
            print("validation is on images that are trained on, too: --split all has them")
        if self.keeper.steps_done or self.stage != self.stages[0]:
            print(f"going on from step {self.keeper.steps_done}" + (f" of {self.stage}" if self.stage else ""))
        print(f"run: {shown(self.folder.path)}", flush=True)

    def _in_stages(self):
        return f" in each of {len(self.stages)} stages" if len(self.stages) > 1 else ""

    def parameters(self) -> int:
        """Returns the number of weights that the players move, in all stages."""
        return sum(math.prod(variable.shape) for variable in self.model.trainable_variables)

    # --- during ------------------------------------------------------------------------------------------------------

    def _train(self):
        from keras_gen.cli.progress import Line, Record

        if self.keeper.steps_done >= self.target:
            return  # killed after the last step, and before the model was written
        job = self.job
        if self.stage:
            print(f"stage {self.stage} ({self.stages.index(self.stage) + 1} of {len(self.stages)})", flush=True)
        self.history = [row for row in self.folder.history() if self._is_before(row, self.keeper.epoch + 1)]
        data = job.examples.dataset(self.rows, self.options.seed, drop_remainder=True)
        validation = job.validation.dataset(min(self.rows, len(job.validation))) if job.validation else None
        line = Line(self.keeper, self.target, self.steps_per_epoch)
        record = Record(self.keeper, self.target, self._row, self._save)
        try:
            self.model.fit(
                data,
                epochs=math.ceil(self.target / self.steps_per_epoch),
                callbacks=[record, self.keeper, line],
                validation_data=validation,
                verbose=0,
            )
        except (KeyboardInterrupt, SystemExit) as stop:
            line.close()
            stop.add_note(self._interrupted())
            raise
        finally:
            line.close()

    def _interrupted(self):
        """Writes what there is, and returns the line that tells how to go on."""
        from keras_gen.callbacks import checkpoints

        done = self.keeper.steps_done
        saved = [path.stem.partition("-")[2] for path in checkpoints(self.keeper.folder)]
        at = int(saved[-1]) if saved else 0
        if at != done:  # asked twice: nothing was saved on the way out
            return f"stopped at once at step {done} of {self.target}; the same command goes on from step {at}"
        self._save()
        self._write_card("interrupted", done)
        return f"stopped at step {done} of {self.target}; the same command goes on from there"

    def _row(self, epoch, steps, metrics, seconds):
        self.metrics = metrics
        row = {**self._named(), "epoch": epoch, "steps": steps, **metrics, "seconds": seconds}
        self.history = [old for old in self.history if self._is_before(old, epoch)]
        if not self.workers.chief:
            return
        self.history.append(
            {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in row.items()}
        )
        self.folder.write_history(self.history)
        self._write_card("training", steps)
        if self.options.tensorboard:
            self._log(metrics, steps)

    def _is_before(self, row, epoch):
        """Tells whether a row of the history is of an earlier epoch, or of an earlier stage."""
        if self.stage and row["stage"] != self.stage:
            return row["stage"] in self.stages[: self.stages.index(self.stage)]
        return int(row["epoch"]) < epoch

    def _named(self):
        return {"stage": self.stage} if self.stage else {}

    def _log(self, metrics, steps):
        import tensorflow as tf

        if self.writer is None:
            self.writer = tf.summary.create_file_writer(str(self.folder.path / "tensorboard"))
        with self.writer.as_default():
            for name, value in metrics.items():
                tf.summary.scalar(f"{self.stage}/{name}" if self.stage else name, value, step=steps)
        self.writer.flush()

    def _save(self):
        if not self.workers.chief:
            return True
        with self.model.served():
            examples = self.job.validation or self.job.examples
            return self.folder.write_model(self.model, self.options.samples, examples)

    # --- after -------------------------------------------------------------------------------------------------------

    def _finish(self):
        from keras_gen.errors import DamagedError

        if not self._save():
            raise DamagedError(
                "weights are not finite: no model was written; give a lower --learning-rate, --no-resume"
            )
        self._write_card("finished", self.keeper.steps_done)
        path = self.folder.path
        name = called(path)
        where = f"step {self.keeper.steps_done}" + (f" of {self.stage}" if self.stage else "")
        print(f"finished at {where} after {self.took()}: {shown(path / 'model.keras')}")
        metas = [signature.meta for signature in self.model.signatures().values()]
        words = f"sample {name}"
        if given := next(filter(None, map(given_of, metas)), None):
            style = " --style painting.jpg" if "style" in given else ""
            words = f"translate {name} {'map.png' if 'segmentation' in given else 'photo.jpg'}{style} -o out.png"
        if any("scale" in meta for meta in metas):
            words = f"upscale {name} small.png -o large.png"
        print(f"next: python -m keras_gen {words}")
        print(f"      python -m keras_gen export {name}", flush=True)

    def took(self) -> str:
        """Returns the time since training began."""
        from keras_gen.terminal import duration

        return duration(time.monotonic() - self.began)

    def _write_card(self, state, steps):
        from keras_gen.cli.folder import versions

        if not self.workers.chief:
            return
        data = self.job.examples
        self.folder.write_card(
            {
                "model": self.job.name,
                "state": state,
                **self._named(),
                "steps": steps,
                "target_steps": self.target,
                "steps_per_epoch": self.steps_per_epoch,
                "epochs": steps / self.steps_per_epoch,
                "metrics": self.metrics,
                "parameters": self.parameters(),
                "data": {
                    "name": data.name,
                    "split": self.options.split,
                    "images": len(data),
                    **{f"{name}_shape": list(shape[1:]) for name, shape in data.shapes().items() if shape[1:]},
                    "classes": list(data.classes),
                    "digest": self.job.identity["digest"],
                },
                "identity": self.job.identity,
                "optimizers": self._optimizers(),
                "settings": {name: value for name, value in vars(self.options).items() if name != "debug"},
                "versions": versions(),
            }
        )

    def _optimizers(self):
        names = [player.prefixed("optimizer") for player in self.model.players()]
        configs = {name: getattr(self.model, name).get_config() for name in names}
        return {name: {k: v for k, v in config.items() if k != "name"} for name, config in configs.items()}


def _listed(classes, room=120):
    """Returns the number of classes and their names, as many as a line holds."""
    text = ", ".join(classes)
    if len(text) > room:
        text = f"{text[:room].rpartition(', ')[0] or classes[0][:room]}, ..., {classes[-1][:30]}"
    return f"{len(classes)}: {' '.join(text.split())}"


def _check_tensorboard(wanted):
    import importlib.util

    if wanted and importlib.util.find_spec("tensorboard") is None:
        raise UsageError("--tensorboard needs tensorboard, which is not installed: pip install keras-gen[tensorboard]")
