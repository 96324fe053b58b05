"""A law that holds is worth what it catches: each of these bugs, planted in a copy of the package, breaks its law."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from tiny import SHARED

ROOT = Path(__file__).resolve().parents[1]


class Bug(NamedTuple):
    """A change of one place in the source, and the tests that must fail for it."""

    name: str
    file: str  # below keras_gen
    old: str
    new: str
    laws: tuple[str, ...]  # below tests


VAE = "models/test_vae.py::test_"
BUGS = (
    Bug(
        "VAE: sign of the KL",
        "models/vae.py",
        '"kl": mean(gaussian_kl(*code))',
        '"kl": -mean(gaussian_kl(*code))',
        (VAE + "loss_by_hand_at_a_posterior_that_is_not_the_prior",),
    ),
    Bug(
        "VAE: mean over pixels",
        "losses.py",
        "return tf.reduce_sum(tf.reshape(values, (tf.shape(values)[0], -1)), axis=1)",
        "return tf.reduce_mean(tf.reshape(values, (tf.shape(values)[0], -1)), axis=1)",
        (VAE + "loss_at_zero_logits_is_784_ln_2", VAE + "loss_does_not_depend_on_the_batch_and_scales_with_the_image"),
    ),
    Bug(
        "VAE: the mean in place of a draw",
        "models/vae.py",
        "return means + tf.exp(0.5 * log_variance) * noise, noise",
        "return means + 0.0 * noise, noise",
        (VAE + "code_is_mean_plus_sigma_times_noise", VAE + "gradient_reaches_mean_and_log_variance"),
    ),
    Bug(
        "VAE: variance in place of the standard deviation",
        "models/vae.py",
        "return means + tf.exp(0.5 * log_variance) * noise, noise",
        "return means + tf.exp(log_variance) * noise, noise",
        (VAE + "code_is_mean_plus_sigma_times_noise",),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_law_fails(bug, tmp_path):
    for name in ("keras_gen", "export", "tests", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = tmp_path / "keras_gen" / bug.file
    text = source.read_text()
    assert text.count(bug.old) == 1, f"{bug.file} has changed: plant {bug.name!r} elsewhere"
    source.write_text(text.replace(bug.old, bug.new))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "KERAS_GEN_TEST_DATA": str(SHARED)}
    # Laws that take longer than the others are slow themselves.
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", *(f"tests/{law}" for law in bug.laws)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=900)
    assert out.returncode == 1, f"{out.stdout[-2000:]}{out.stderr[-1000:]}"
    for law in bug.laws:
        assert any(line.startswith(f"FAILED tests/{law}") for line in out.stdout.splitlines()), law
    assert "skipped" not in out.stdout.splitlines()[-1], "a law that is skipped says nothing"
