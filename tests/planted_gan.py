"""Bugs of the GAN family, and the laws that they break: see test_planted.py."""

from typing import NamedTuple


class Bug(NamedTuple):
    """A change of one place in the source, and the tests that must fail for it."""

    name: str
    file: str  # below keras_gen
    old: str
    new: str
    laws: tuple[str, ...]  # below tests


LAYERS = "layers/test_layers.py::test_"
AUGMENT = "ops/test_augment.py::test_"
PENALTIES = "ops/test_penalties.py::test_"
GAME = "game/test_game.py::test_"
GAN, CGAN, ACGAN = (f"models/adversarial/test_{name}.py::test_" for name in ("gan", "cgan", "acgan"))
WGAN, WGANGP, SNGAN = (f"models/adversarial/test_{name}.py::test_" for name in ("wgan", "wgan_gp", "sngan"))
CONTRACT = "test_contract.py::test_"
BUGS = (
    Bug(
        "GAN: the discriminator moves the generator",
        "models/adversarial/gan.py",
        'return (self.discriminator,) if player == "d" else (self.generator,)',
        'return (self.discriminator, self.generator) if player == "d" else (self.generator,)',
        (CONTRACT + "each_player_moves_all_of_its_own_variables_and_none_of_anothers[gan-resnet]",),
    ),
    Bug(
        "GAN: swapped labels",
        "losses.py",
        "return mean(tf.nn.softplus(-real)) + mean(tf.nn.softplus(fake))",
        "return mean(tf.nn.softplus(real)) + mean(tf.nn.softplus(-fake))",
        (GAME + "simultaneous_updates_use_the_weights_of_one_moment",),
    ),
    Bug(
        "GAN: smoothing of both sides",
        "models/adversarial/gan.py",
        "loss += self.label_smoothing * mean(real)",
        "loss += self.label_smoothing * (mean(real) - mean(fake))",
        (GAN + "smoothing_is_the_cross_entropy_of_real_images_with_a_target_below_1[non_saturating]",),
    ),
    Bug(
        "R1: lazy, and not as often",
        "ops/penalties.py",
        "lambda: float(every) * penalty()",
        "lambda: penalty()",
        (GAN + "lazy_r1_comes_every_so_many_steps_and_counts_as_often",),
    ),
    Bug(
        "augmentation: of real images only",
        "models/adversarial/gan.py",
        "if self.augment and training else image",
        'if self.augment and training and kind == "real" else image',
        (GAN + "all_that_the_discriminator_sees_in_training_is_augmented_and_nothing_in_inference",),
    ),
    Bug(
        "truncation: latents are only made smaller",
        "ops/random.py",
        "ratio = tf.where(bound < UNTRUNCATED, tf.sqrt(y / x), 1.0)",
        "ratio = tf.where(bound < UNTRUNCATED, bound / 3.0, 1.0)",
        (GAN + "truncated_latents_follow_the_law_cut_off_at_the_bound[1.0]",),
    ),
    Bug(
        "accumulation: a sum in place of the mean",
        "game/step.py",
        "weight = _fraction(part, batch, parts) if parts > 1 else 1.0",
        "weight = 1.0",
        (GAN + "parts_of_a_batch_train_as_the_whole[2-simultaneous-equal parts]",),
    ),
    Bug(
        "accumulation: the last part alone",
        "game/step.py",
        "gradients[number] = _added(gradients[number], tape.gradient(loss, player.variables))",
        "gradients[number] = tape.gradient(loss, player.variables)",
        (GAN + "parts_of_a_batch_train_as_the_whole[3-alternating-equal parts]",),
    ),
    Bug(
        "cGAN: the label for the discriminator only",
        "networks/build.py",
        "parts.append(keras.ops.one_hot(inputs[name], classes) if classes else inputs[name])",
        "parts.append(0.0 * keras.ops.one_hot(inputs[name], classes) if classes else inputs[name])",
        (CGAN + "both_networks_use_the_label[mlp-none]",),
    ),
    Bug(
        "cGAN: fakes of other labels",
        "models/adversarial/cgan.py",
        '"label": batch["label"]}',
        '"label": batch["label"] if kind == "real" else (batch["label"] + 1) % self.num_classes}',
        (CGAN + "fakes_are_made_for_the_labels_of_the_batch_and_judged_with_them",),
    ),
    Bug(
        "ACGAN: the class of fakes only",
        "models/adversarial/acgan.py",
        'loss = self.class_loss("real", batch, training) + self.class_loss("fake", batch, training)',
        'loss = self.class_loss("fake", batch, training)',
        (
            ACGAN + "discriminator_tells_the_class_of_real_and_of_fake_images",
            ACGAN + "at_zero_logits_the_class_costs_ln_10_for_each_kind",
        ),
    ),
    Bug(
        "WGAN: no clipping",
        "models/adversarial/wgan.py",
        "            variable.constraint = self.clipped  # which the optimizer applies after each update\n",
        "",
        (WGAN + "every_weight_of_the_critic_stays_within_the_bound[wgan]",),
    ),
    Bug(
        "WGAN-GP: one point for the whole batch",
        "models/adversarial/wgan_gp.py",
        "keras.random.uniform((tf.shape(real)[0], 1, 1, 1)",
        "keras.random.uniform((1, 1, 1, 1)",
        (WGANGP + "slope_is_taken_between_each_real_image_and_one_fake",),
    ),
    Bug(
        "WGAN-GP: the weight is not wired",
        "models/adversarial/wgan_gp.py",
        '{**d, "penalty": self.penalty_weight}',
        '{**d, "penalty": 10.0}',
        (WGANGP + "a_linear_critic_ends_at_the_slope_that_the_weight_allows[2.0-0.1-11.0]",),
    ),
    Bug(
        "SNGAN: no normalization",
        "models/adversarial/sngan.py",
        'discriminator_norm="spectral"',
        'discriminator_norm="none"',
        (SNGAN + "no_change_of_the_image_changes_the_logit_by_more", SNGAN + "the_papers_settings"),
    ),
    Bug(
        "spectral normalization: no gradient through sigma",
        "layers/spectral.py",
        "kernel = tf.reshape(matrix / tf.maximum(_stretch(matrix, u), 1e-12), self._kernel.shape)",
        "kernel = tf.reshape(matrix / tf.maximum(tf.stop_gradient(_stretch(matrix, u)), 1e-12), self._kernel.shape)",
        (
            LAYERS + "gradient_goes_through_sigma[dense]",
            LAYERS + "gradient_goes_through_sigma[conv]",
        ),
    ),
    Bug(
        "spectral normalization: the kernel is written to, as in Keras' layer",
        "layers/spectral.py",
        "        outputs = self._linear(",
        "        if training:\n            self._kernel.assign(kernel)\n        outputs = self._linear(",
        (LAYERS + "only_training_calls_move_u_and_nothing_moves_the_kernel[dense]",),
    ),
    Bug(
        "spectral normalization: u is not kept",
        "layers/spectral.py",
        "            self.u.assign(u)\n",
        "",
        (
            LAYERS + "sigma_is_the_largest_singular_value[dense]",
            LAYERS + "only_training_calls_move_u_and_nothing_moves_the_kernel[conv]",
        ),
    ),
    Bug(
        "spectral normalization: u moves in inference",
        "layers/spectral.py",
        "        if training:\n            u = _iterated",
        "        if True:\n            u = _iterated",
        (LAYERS + "only_training_calls_move_u_and_nothing_moves_the_kernel[dense]",),
    ),
    Bug(
        "spectral normalization: the wrong matrix of a convolution",
        "layers/spectral.py",
        "return tf.reshape(kernel, (-1, kernel.shape[-1]))",
        "return tf.reshape(tf.transpose(tf.reshape(kernel, (kernel.shape[-1], -1))), (-1, kernel.shape[-1]))",
        (LAYERS + "sigma_is_the_largest_singular_value[conv]",),
    ),
    Bug(
        "spectral normalization: u is not saved",
        "layers/spectral.py",
        'self.u.assign(store["u"])',
        "pass",
        (LAYERS + "spectral_layers_are_saved_and_cloned[dense]",),
    ),
    Bug(
        "conditional batch normalization: one row for all",
        "layers/conditional.py",
        "tf.cast(label, tf.int32))",
        "0 * tf.cast(label, tf.int32))",
        (
            LAYERS + "two_classes_by_hand",
            LAYERS + "gradient_reaches_the_classes_of_the_batch_only",
        ),
    ),
    Bug(
        "conditional batch normalization: statistics of the batch in inference",
        "layers/conditional.py",
        "self.normalization(x, training=training)",
        "self.normalization(x, training=True)",
        (
            LAYERS + "two_classes_by_hand",
            LAYERS + "untrained_tables_make_it_batch_normalization[shape1]",
        ),
    ),
    Bug(
        "minibatch deviation: neighbors are a group",
        "layers/minibatch.py",
        "tf.gather(value, tf.range(rows) % groups)",
        "tf.gather(value, tf.range(rows) // most)",
        (LAYERS + "deviation_of_groups_by_hand",),
    ),
    Bug(
        "minibatch deviation: no floor",
        "layers/minibatch.py",
        "FLOOR = 1e-8",
        "FLOOR = 0.0",
        (LAYERS + "gradient_is_finite_where_nothing_varies_and_right_where_something_does",),
    ),
    Bug(
        "augmentation: one draw for all images",
        "ops/augment.py",
        "keras.random.uniform((tf.shape(image)[0], 1, 1, 1),",
        "tf.ones((tf.shape(image)[0], 1, 1, 1)) * keras.random.uniform((1, 1, 1, 1),",
        (
            AUGMENT + "every_image_has_draws_of_its_own_and_the_seed_says_which[shape1-color]",
            AUGMENT + "color_by_its_three_factors",
        ),
    ),
    Bug(
        "augmentation: never the last shift",
        "ops/augment.py",
        "least, most + 1, seed=seed",
        "least, most, seed=seed",
        (
            AUGMENT + "translation_moves_by_every_shift_up_to_an_eighth[16-24-2-3]",
            AUGMENT + "cutout_clears_a_box_of_half_the_size[8-12]",
        ),
    ),
    Bug(
        "augmentation: a cross is cut out",
        "ops/augment.py",
        "image * (1 - inside[0] * inside[1])",
        "image * (1 - inside[0]) * (1 - inside[1])",
        (AUGMENT + "cutout_clears_a_box_of_half_the_size[8-12]",),
    ),
    Bug(
        "augmentation: contrast about the middle",
        "ops/augment.py",
        "    return mean + (0.5",
        "    mean = 0.0 * mean\n    return mean + (0.5",
        (AUGMENT + "color_by_its_three_factors",),
    ),
    Bug(
        "augmentation: no gradient",
        "ops/augment.py",
        "moved * _along(",
        "tf.stop_gradient(moved) * _along(",
        (
            AUGMENT + "gradient_is_one_where_a_pixel_is_kept[translation]",
            AUGMENT + "gradient_passes_to_the_image_once_and_twice[1-translation]",
        ),
    ),
    Bug(
        "gradient penalty: one norm for the batch",
        "ops/penalties.py",
        "squared = tf.reduce_sum(tf.square(tf.reshape(slope, (tf.shape(slope)[0], -1))), axis=1)",
        "squared = tf.reduce_sum(tf.square(slope))",
        (
            PENALTIES + "gradient_penalty_of_a_linear_critic_is_that_of_its_norm[7]",
            PENALTIES + "gradient_penalty_is_a_mean_over_examples_each_with_its_own_norm",
        ),
    ),
    Bug(
        "gradient penalty: first order only",
        "ops/penalties.py",
        "slope = tape.gradient(value, image)",
        "slope = tf.stop_gradient(tape.gradient(value, image))",
        (
            PENALTIES + "gradient_penalty_moves_the_weights",
            PENALTIES + "a_linear_wasserstein_critic_ends_where_the_penalty_holds_it[1.0-10.0-1.05]",
        ),
    ),
    Bug(
        "R1: the weight's factor twice",
        "ops/penalties.py",
        "return 0.5 * tf.reduce_mean(",
        "return tf.reduce_mean(",
        (PENALTIES + "r1_of_a_linear_critic_is_half_of_its_squared_norm_and_its_gradient_the_weight[6]",),
    ),
    Bug(
        "R1: first order only",
        "ops/penalties.py",
        "slope = tape.gradient(value, real)",
        "slope = tf.stop_gradient(tape.gradient(value, real))",
        (PENALTIES + "r1_of_a_linear_critic_is_half_of_its_squared_norm_and_its_gradient_the_weight[6]",),
    ),
    Bug(
        "dense layers: in the discriminator as in the generator",
        "networks/adversarial.py",
        '**{**sizes, "hidden": sizes["hidden"][::-1]}',
        "**sizes",
        (GAN + "dense_layers_come_first_in_the_generator_and_in_reverse_last_in_the_discriminator[conv]",),
    ),
    Bug(
        "InfoGAN: Q detached from G",
        "models/adversarial/infogan.py",
        'self.read(batch.once("fake_logits", None))',
        'self.read(call(self.discriminator, {"image": tf.stop_gradient(self.fake(batch, training))}, training))',
        ("models/adversarial/test_infogan.py::test_information_moves_generator_and_features_by_its_weight",),
    ),
    Bug(
        "InfoGAN: the discriminator's player moves the head",
        "models/adversarial/infogan.py",
        "return tuple(layer for layer in self.discriminator.layers if layer not in head)",
        "return (self.discriminator,)",
        (
            "models/adversarial/test_infogan.py::test_the_generators_player_moves_the_head_and_the_discriminators_all_below_it",
        ),
    ),
    Bug(
        "InfoGAN: the information does not shape the features",
        "models/adversarial/infogan.py",
        "{**d, **codes}, {**g, **codes}",
        "{**d, **{name: 0.0 for name in codes}}, {**g, **codes}",
        ("models/adversarial/test_infogan.py::test_information_moves_generator_and_features_by_its_weight",),
    ),
    Bug(
        "InfoGAN: Q reads codes of another draw",
        "models/adversarial/infogan.py",
        "given = self.given(batch, training)\n        logits",
        'given = self.given(Batch(image=batch["image"]), training)\n        logits',
        ("models/adversarial/test_infogan.py::test_bound_begins_at_zero_and_ends_below_the_entropy",),
    ),
    Bug(
        "InfoGAN: standard deviation in place of the variance",
        "models/adversarial/infogan.py",
        'gaussian_log_likelihood(given["code"], means, log_variance)',
        'gaussian_log_likelihood(given["code"], means, 2 * log_variance)',
        ("models/adversarial/test_infogan.py::test_losses_by_hand",),
    ),
    Bug(
        "BiGAN: pair (x, z')",
        "models/adversarial/bigan.py",
        'if kind == "fake" else self.code(batch, training)',
        'if kind == "fake" or kind == "real" else self.code(batch, training)',
        (
            "models/adversarial/test_bigan.py::test_discriminator_sees_images_with_their_codes_and_latents_with_their_images",
        ),
    ),
    Bug(
        "BiGAN: codes of generated images",
        "models/adversarial/bigan.py",
        "self.inferred(self.real(batch, training), training)",
        "self.inferred(self.fake(batch, training), training)",
        (
            "models/adversarial/test_bigan.py::test_discriminator_sees_images_with_their_codes_and_latents_with_their_images",
        ),
    ),
    Bug(
        "BiGAN: the encoder helps the discriminator",
        "models/adversarial/bigan.py",
        "else -real",
        "else real",
        (
            "models/adversarial/test_bigan.py::test_generator_and_encoder_pass_their_pairs_for_the_others[non_saturating]",
        ),
    ),
    Bug(
        "BiGAN: the encoder stands still",
        "models/adversarial/bigan.py",
        '((self.encoder,) if player == "g" else ())',
        "()",
        ("models/adversarial/test_bigan.py::test_generator_and_encoder_pass_their_pairs_for_the_others[hinge]",),
    ),
    Bug(
        "ALI: the mean in place of a draw",
        "models/adversarial/ali.py",
        'tf.exp(0.5 * inferred["log_variance"]) * noise',
        "0.0 * noise",
        (
            "models/adversarial/test_ali.py::test_code_is_mean_plus_sigma_times_noise",
            "models/adversarial/test_ali.py::test_gradient_reaches_mean_and_log_variance_with_the_right_sign",
        ),
    ),
    Bug(
        "ALI: variance in place of the standard deviation",
        "models/adversarial/ali.py",
        'tf.exp(0.5 * inferred["log_variance"])',
        'tf.exp(inferred["log_variance"])',
        ("models/adversarial/test_ali.py::test_code_is_mean_plus_sigma_times_noise",),
    ),
    Bug(
        "Rob-GAN: wrong sign",
        "ops/attacks.py",
        "tf.clip_by_value(changed + step *",
        "tf.clip_by_value(changed - step *",
        ("ops/test_attacks.py::test_few_small_steps_go_as_far_as_they_can",),
    ),
    Bug(
        "Rob-GAN: no projection",
        "ops/attacks.py",
        "tape.gradient(value, changed)), low, high)",
        "tape.gradient(value, changed)), -1.0, 1.0)",
        ("ops/test_attacks.py::test_attack_stays_within_epsilon_and_in_range_exactly",),
    ),
    Bug(
        "Rob-GAN: gradient through the attack",
        "ops/attacks.py",
        "return tf.stop_gradient(changed)",
        "return changed",
        ("ops/test_attacks.py::test_no_gradient_passes_through_the_attack",),
    ),
    Bug(
        "Rob-GAN: the class of fakes in the discriminator's loss",
        "models/adversarial/rob_gan.py",
        '"class": self.class_loss("real", batch, training)}',
        "}",
        ("models/adversarial/test_rob_gan.py::test_class_of_fakes_is_in_the_generators_loss_alone",),
    ),
    Bug(
        "Rob-GAN: attacks in evaluation",
        "models/adversarial/rob_gan.py",
        "if not training or not self.epsilon:\n            return image",
        "if not self.epsilon:\n            return image",
        (
            "models/adversarial/test_rob_gan.py::test_discriminator_sees_attacked_images_in_both_of_its_terms_and_clean_ones_in_evaluation",
        ),
    ),
    Bug(
        "FastGAN: parts of a batch begin anew in each replay",
        "game/batch.py",
        "some.carried = self.carried.setdefault((index, parts), {})",
        "pass",
        (
            "models/adversarial/test_rob_gan.py::test_the_change_grows_from_replay_to_replay_in_every_part_of_a_batch[2]",
        ),
    ),
    Bug(
        "FastGAN: no replay",
        "models/adversarial/rob_gan.py",
        'd._replace(replays=self.replays) if self.attack == "free" else d',
        "d",
        ("models/adversarial/test_rob_gan.py::test_discriminator_moves_replays_times_as_often_on_the_same_rows",),
    ),
    Bug(
        "FastGAN: the change begins anew",
        "game/batch.py",
        "same.carried = self.carried",
        "pass",
        ("models/adversarial/test_rob_gan.py::test_every_replay_starts_from_the_change_that_the_former_one_left",),
    ),
)
