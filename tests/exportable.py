"""Models as the exporter sees them."""

import numpy as np

import export.cli
import export.onnx
import export.tflite
from keras_gen.signatures import draws
from keras_gen.signatures.signature import Signature

FORMATS = {"onnx": (export.onnx.export, "generate.onnx"), "tflite": (export.tflite.export, "model.tflite")}
META = {
    "sample": "image",
    "latent.law": "normal",
    "label.law": "classes 3",
    "image.range": "-1 1",
    "image.layout": "NHWC",
}


class Stub:
    """A model as the exporter sees it."""

    def __init__(self, **signatures):
        self._signatures = signatures

    def float32(self):
        return self

    def signatures(self):
        return self._signatures


class Conditional(Stub):
    """A generator with labels and batch norm, and an encoder that shares nothing with it."""

    def __init__(self, change=None):
        import keras
        import tensorflow as tf

        layers = keras.layers
        latent, label = keras.Input((4,), name="latent"), keras.Input((), dtype="int32", name="label")
        x = layers.Concatenate()([latent, layers.Embedding(3, 4)(label)])
        x = layers.Reshape((4, 4, 2))(layers.Dense(32, activation="relu")(x))
        x = layers.BatchNormalization()(x)
        x = layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh")(x)
        self.generator = keras.Model({"latent": latent, "label": label}, x)
        image = keras.Input((8, 8, 1), name="image")
        self.encoder = keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Conv2D(2, 3, 2)(image))))
        change = change or (lambda x: x)

        def generate(latent, label):
            return {"image": change(self.generator({"latent": latent, "label": label}, training=False))}

        def encode(image):
            return {"code": self.encoder(image, training=False)}

        shapes = {"latent": (None, 4), "label": (None,)}
        super().__init__(
            generate=Signature(
                generate,
                {
                    "latent": tf.TensorSpec(shapes["latent"], tf.float32),
                    "label": tf.TensorSpec(shapes["label"], tf.int32),
                },
                lambda n: draws.sample_inputs(shapes, META, n, seed=5),
                META,
            ),
            encode=Signature(
                encode,
                {"image": tf.TensorSpec((None, 8, 8, 1), tf.float32)},
                lambda n: {"image": np.random.default_rng(n).uniform(-1, 1, (n, 8, 8, 1)).astype(np.float32)},
            ),
        )

    def sample(self, n, seed, label=None):
        inputs = draws.sample_inputs({"latent": (None, 4), "label": (None,)}, META, n, seed, label)
        return np.asarray(self._signatures["generate"].fn(**inputs)["image"])


def one(fn, **changes):
    """A model of one signature over (batch, 4) floats."""
    import tensorflow as tf

    def example(n):
        return {"latent": np.random.default_rng(n).standard_normal((n, 4), dtype=np.float32)}

    signature = Signature(fn, {"latent": tf.TensorSpec((None, 4), tf.float32)}, example, {"latent.law": "normal"})
    return Stub(generate=signature._replace(**changes))


def constant(latent):
    import tensorflow as tf

    return {"image": tf.tanh(latent * 0.0 + 1.0)}
