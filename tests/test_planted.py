"""A law that holds is worth what it catches: each of these bugs, planted in a copy of the package, breaks its law."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from planted_gan import BUGS as BUGS_OF_GANS
from planted_gan import Bug
from planted_gpt import BUGS as BUGS_OF_GPT
from planted_pixel import BUGS as BUGS_OF_PIXELS
from tiny import SHARED

ROOT = Path(__file__).resolve().parents[1]


VAE = "models/autoencoders/test_vae.py::test_"
AUTOENCODER = "models/autoencoders/test_autoencoder.py::test_"
STACKED = "models/autoencoders/test_stacked_autoencoder.py::test_"
CODES = "models/autoencoders/test_vq_vae.py::test_"
BUGS = (
    Bug(
        "VAE: sign of the KL",
        "models/autoencoders/vae.py",
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
        "models/autoencoders/vae.py",
        "return means + tf.exp(0.5 * log_variance) * noise, noise",
        "return means + 0.0 * noise, noise",
        (VAE + "code_is_mean_plus_sigma_times_noise", VAE + "gradient_reaches_mean_and_log_variance"),
    ),
    Bug(
        "VAE: variance in place of the standard deviation",
        "models/autoencoders/vae.py",
        "return means + tf.exp(0.5 * log_variance) * noise, noise",
        "return means + tf.exp(log_variance) * noise, noise",
        (VAE + "code_is_mean_plus_sigma_times_noise",),
    ),
    Bug(
        "beta-VAE: no beta",
        "models/autoencoders/beta_vae.py",
        '"kl": self.beta}',
        '"kl": 1.0}',
        ("models/autoencoders/test_beta_vae.py::test_both_weights_are_in_the_loss_and_not_in_its_terms",),
    ),
    Bug(
        "IWAE: mean of the logarithms",
        "models/autoencoders/iwae.py",
        "tf.reduce_logsumexp(log_weights, axis=1) - math.log(self.samples)",
        "tf.reduce_mean(log_weights, axis=1)",
        ("models/autoencoders/test_iwae.py::test_loss_by_hand[3]",),
    ),
    Bug(
        "conditional VAE: any label will do",
        "networks/build.py",
        "code = keras.ops.one_hot(label, num_classes)",
        "code = 0.0 * keras.ops.one_hot(label, num_classes)",
        (
            "models/autoencoders/test_conditional_vae.py::test_gradient_reaches_the_classes_of_the_batch_in_both_networks_and_no_others",
        ),
    ),
    Bug(
        "autoencoder: samples of the prior, not of the codes",
        "models/autoencoders/autoencoder.py",
        "return decode(self.moments.transform(latent))",
        "return decode(latent)",
        (AUTOENCODER + "generate_follows_the_moments",),
    ),
    Bug(
        "autoencoder: moments without the square of the mean",
        "layers/moments.py",
        " - shift[:, None] * shift[None, :]",
        "",
        (AUTOENCODER + "moments_are_those_of_the_training_codes",),
    ),
    Bug(
        "denoising autoencoder: corruption outside training",
        "models/autoencoders/denoising_autoencoder.py",
        "if training else image",
        "if True else image",
        ("models/autoencoders/test_denoising_autoencoder.py::test_corruption_is_absent_everywhere_but_in_training",),
    ),
    Bug(
        "stacked autoencoder: corruption outside training",
        "models/autoencoders/stacked_autoencoder.py",
        "self.masked(given, 0.0) if training else given",
        "self.masked(given, 0.0)",
        (STACKED + "shallow_loss_by_hand_and_without_corruption_outside_training",),
    ),
    Bug(
        "stages: always the last one",
        "game/model.py",
        "self.stage = stage or (self.stages[-1] if self.stages else None)",
        "self.stage = self.stages[-1] if self.stages else None",
        (STACKED + "each_stage_moves_its_own_layers_and_nothing_else",),
    ),
    Bug(
        "VQ-VAE: no gradient to the encoder",
        "layers/codebook.py",
        "code=vectors + tf.stop_gradient(code - vectors),",
        "code=code,",
        (CODES + "gradient_passes_straight_through",),
    ),
    Bug(
        "VQ-VAE: the commitment moves the codes",
        "layers/codebook.py",
        "tf.square(vectors - tf.stop_gradient(code))",
        "tf.square(tf.stop_gradient(vectors) - code)",
        (CODES + "gradient_passes_straight_through",),
    ),
    Bug(
        "VQ-VAE: the decay in place of what is left",
        "layers/codebook.py",
        "counts = self.decay * old[0] + (1 - self.decay) * counts",
        "counts = (1 - self.decay) * old[0] + self.decay * counts",
        (CODES + "codes_are_running_means_by_hand",),
    ),
    Bug(
        "replicas: the same noise",
        "ops/random.py",
        "return seed + tf.stack([shift, tf.zeros_like(shift)])",
        "return seed",
        ("test_distribution.py::test_replicas_draw_different_latents_masks_and_penalty_weights",),
    ),
    Bug(
        "replicas: the loss is not divided",
        "game/step.py",
        'return rows / context.all_reduce("sum", rows)',
        "return 1.0",
        ("test_distribution.py::test_two_replicas_end_where_one_does",),
    ),
    Bug(
        "moving average: as slow in the first steps as later",
        "game/step.py",
        "decay = tf.minimum(self.ema, (1 + done) / (10 + done))",
        "decay = self.ema + 0.0 * done",
        ("game/test_game.py::test_moving_average_is_the_geometric_sum",),
    ),
    Bug(
        "resume: no optimizers",
        "callbacks/state.py",
        "for index, variable in enumerate(getattr(model, name).variables):",
        "for index, variable in enumerate([]):",
        ("test_contract.py::test_an_interrupted_fit_ends_bit_identical_to_an_uninterrupted_one[dcgan]",),
    ),
    Bug(
        "resume: no random states",
        "callbacks/state.py",
        'named = {f"model/{index}": variable for index, variable in enumerate(model.variables)}',
        'named = {f"model/{i}": v for i, v in enumerate(model.variables) if "seed" not in v.path}',
        ("test_contract.py::test_an_interrupted_fit_ends_bit_identical_to_an_uninterrupted_one[vae]",),
    ),
    Bug(
        "files: no random states",
        "game/model.py",
        'generator.state.assign(np.asarray(store[f"seed_{index}"]))',
        "pass",
        ("test_contract.py::test_every_argument_and_weight_survives_a_save_and_one_more_step_is_bit_equal[vae]",),
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS + BUGS_OF_PIXELS + BUGS_OF_GANS + BUGS_OF_GPT, ids=lambda bug: bug.name)
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
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "", *(f"tests/{law}" for law in bug.laws)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=900)
    assert out.returncode == 1, f"{out.stdout[-2000:]}{out.stderr[-1000:]}"
    for law in bug.laws:
        assert any(line.startswith(f"FAILED tests/{law}") for line in out.stdout.splitlines()), law
    assert "skipped" not in out.stdout.splitlines()[-1], "a law that is skipped says nothing"
