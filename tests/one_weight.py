"""A generator x = g z and a discriminator y = d x with one weight each, whose gradients can be done by hand."""

import keras
import numpy as np
import tensorflow as tf

import keras_gen

Z = 0.5  # the latent of every row
G, D = 0.4, -1.5
X = -0.8  # every pixel of the real images


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class OneWeight(keras_gen.GAN):
    """Draws the latent Z always, so that every gradient can be done by hand."""

    def random_input(self, name, rows, training):
        return tf.fill((rows, 1), Z)


def game(**arguments):
    constant = keras.initializers.Constant
    latent = keras.Input((1,), name="latent")
    x = keras.layers.Dense(1, use_bias=False, kernel_initializer=constant(G))(latent)
    generator = keras.Model({"latent": latent}, keras.layers.Reshape((1, 1, 1))(x))
    image = keras.Input((1, 1, 1), name="image")
    y = keras.layers.Dense(1, use_bias=False, kernel_initializer=constant(D))(keras.layers.Flatten()(image))
    model = OneWeight(generator, keras.Model({"image": image}, y), latent_dim=1, **arguments)
    model.compile(d_optimizer=keras.optimizers.SGD(0.1), g_optimizer=keras.optimizers.SGD(0.1))
    return model


def step(model, rows=4):
    return model.fit(np.full((rows, 1, 1, 1), X, np.float32), batch_size=rows, verbose=0).history


def moved(model):
    return float(model.generator.weights[0].numpy().item()), float(model.discriminator.weights[0].numpy().item())
