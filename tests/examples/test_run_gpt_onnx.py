"""The loop of `run_gpt_onnx.py` around exported files draws what GPT draws."""

import runpy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tiny import LETTERS, small_gpt

from export import onnx, tflite
from keras_gen.errors import UsageError
from keras_gen.signatures.exported import open_file

EXAMPLE = Path(__file__).parents[2] / "examples" / "run_gpt_onnx.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [{"tokenizer": LETTERS}, {"positions": "rotary", "start": True}], ids=["text", "start"]
)
def test_a_loop_in_numpy_around_exported_files_draws_the_same_tokens(kind, tmp_path):
    """Of the example, around `step.onnx`; and the same loop around the TFLite file."""
    model = small_gpt(17, 8, **kind)
    onnx.export(model, tmp_path)
    tflite.export(model, tmp_path)
    example = runpy.run_path(str(EXAMPLE))
    prompt = np.int32([3, 1])
    lite = open_file(tmp_path / "model.tflite")
    loops = [example["opened"](tmp_path / "step.onnx"), (partial(lite.run, "step"), lite.meta("step"))]
    for how in ({"temperature": 0.0}, {"temperature": 0.9, "top_k": 6, "top_p": 0.9}):
        expected = model.generate(prompt, 8, seed=4, **how)[0]
        for step, meta in loops:
            np.testing.assert_array_equal(example["generate"](step, meta, prompt, 8, seed=4, **how), expected)


@pytest.mark.parametrize("classes", [pytest.param(None, marks=pytest.mark.slow), 3])
def test_a_text_and_its_file_say_the_same(classes, tmp_path, capsys):
    model = small_gpt(17, 8, tokenizer=LETTERS, num_classes=classes)
    onnx.export(model, tmp_path)
    say = runpy.run_path(str(EXAMPLE))["main"]
    arguments = [str(tmp_path / "step.onnx"), "--prompt", "abc", "--length", "9", "--seed", "2"]
    label = ["--label", "2"] if classes else []
    say([*arguments, *label])
    expected = model.generate("abc", 9, seed=2, label=2 if classes else None)
    assert capsys.readouterr().out.strip() == expected[0]
    with pytest.raises(SystemExit, match="takes a class: --label N" if classes else "no classes"):
        say(arguments if classes else [*arguments, "--label", "1"])
    with pytest.raises(UsageError, match="no sampler, only step; examples/run_gpt_onnx.py"):
        open_file(tmp_path / "step.onnx").sample(1)
