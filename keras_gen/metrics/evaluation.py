"""Judges a trained model: the metrics that suit it, by a fixed protocol, beside the ladder of known damage."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from keras_gen import metrics
from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError
from keras_gen.images import from_uint8
from keras_gen.signatures.draws import sample_inputs

LIKELIHOOD_IMAGES = 1000  # the bound takes many passes for each
RECONSTRUCTED_IMAGES = 1000
_ladders: dict[tuple, dict[str, dict[str, float]]] = {}


class Evaluation(NamedTuple):
    """What `evaluate` found.

    Args:
        metrics: name to value.
        protocol: what the values hold for: numbers of images, split, judges with digests and accuracies, seeds.
        ladder: name of the damage to the metrics of real images that suffered it, by the first judge.
    """

    metrics: dict[str, float]
    protocol: dict[str, Any]
    ladder: dict[str, dict[str, float]]


def evaluate(model: Any, train: Examples, test: Examples, n: int = 5000, seed: int = 0) -> Evaluation:
    """Measures a model on real images that it was not trained on.

    Samples, where the model has a law to sample from, meet two judges: a classifier's features, and whitened principal
    components. Half of the test images is the reference, as for the ladder, and there are as many samples. A model with
    a likelihood gives it, and one that reconstructs is asked to. Of text, the model's own figures are all there is.

    Args:
        model: a `keras_gen.GenerativeModel`.
        train: what it was trained on, with labels, in the model's image shape.
        test: the rest.
        n: samples, and real images: at most half of the test images.
        seed: of the samples, of the order of the test images and of the judges.

    Returns:
        The evaluation; the same arguments give the same figures.

    Raises:
        UsageError: too few images, no labels, or images of another shape.
    """
    if "image" not in test.arrays:
        protocol = {"data": test.name, "split": "test", "n_real": len(test), "seed": seed, "judges": []}
        return Evaluation(model.measures(train, test, seed), protocol, {})
    images, labels = _shuffled(test, seed)
    n = min(n, len(images) // 2)
    if n < 100:
        raise UsageError(f"{test.name} has {len(images)} test images; expected at least 200")
    found: dict[str, float] = {}
    judges = [metrics.Judge.for_data(train, test, seed=seed), metrics.NeighborJudge.for_data(train, test, seed=seed)]
    if any("sample" in signature.meta for signature in model.signatures().values()):
        found |= _of_samples(model, judges, images[: 2 * n], labels[:n], train, seed)
    found |= _of_likelihood(model, images, labels, seed) | _of_reconstruction(model, images, labels)
    found |= model.measures(train, test, seed)
    damage = _damage(judges[0], images[: 2 * n], labels[: 2 * n], seed)
    protocol = {
        "data": test.name,
        "split": "test",
        "n_real": n,
        "n_fake": n,
        "seed": seed,
        "judges": [
            {"kind": judge.kind, "features": judge.features(images[:1]).shape[1], "digest": judge.digest}
            | {"accuracy": judge.accuracy}
            for judge in judges
        ],
        "likelihood_images": min(LIKELIHOOD_IMAGES, len(images)),
    }
    if "bits_per_dimension" in found:
        protocol["levels"] = model.pixel_levels().count
    return Evaluation(found, protocol, damage)


def _damage(judge, images, labels, seed):
    """Returns the ladder; of the same images it is computed once, for runs that are compared."""
    key = (judge.digest, hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest(), seed)
    if key not in _ladders:
        rungs = metrics.ladder(judge, images, labels, seed=seed)
        _ladders.clear()
        _ladders[key] = {rung.name: {name: float(x) for name, x in rung.figures.items()} for rung in rungs}
    return _ladders[key]


def _shuffled(test, seed):
    if "label" not in test.arrays:
        raise UsageError(f"{test.name} has no labels, which the judges learn from; give labelled data")
    order = np.random.default_rng(seed).permutation(len(test))
    return from_uint8(test.arrays["image"][order]), np.asarray(test.arrays["label"])[order]


def _of_samples(model, judges, images, labels, train, seed):
    n = len(labels)
    real, held_out = images[:n], images[n:]
    signature = next(found for found in model.signatures().values() if "sample" in found.meta)
    fake, asked = model.sample(n, seed=seed), None
    if "label" in signature.inputs:
        shapes = {name: spec.shape.as_list() for name, spec in signature.inputs.items()}
        asked = sample_inputs(shapes, signature.meta, n, seed)["label"]
    first, second = (metrics.compare(judge, real, fake, asked=asked, seed=seed) for judge in judges)
    found = {name: float(figure) for name, figure in first.items()}
    found |= {f"neighbors_{name}": float(figure) for name, figure in second.items()}
    features = judges[0].features
    copies = metrics.nearest_neighbor_copies(features(fake), features(train.arrays["image"]), features(held_out))
    found["copies"] = float(copies.share)
    if asked is not None:
        score = metrics.classifier_accuracy_score(features(fake), asked, features(real), judges[0].labels(real))
        found["classifier_accuracy_score"] = float(score)
        variance = metrics.within_class_variance
        found["class_variance"] = variance(fake, asked) / variance(real, labels)  # 1 for real images
    return found


def _of_likelihood(model, images, labels, seed):
    if model.density == "implicit":
        return {}
    given = {"label": labels} if "label" in model.expects() else {}
    first = {name: value[:LIKELIHOOD_IMAGES] for name, value in given.items()}
    log_prob = model.log_prob(images[:LIKELIHOOD_IMAGES], seed=seed, **first)
    nats = -float(np.mean(log_prob))
    losses = model.evaluate({"image": images, **given}, batch_size=500, verbose=0, return_dict=True)
    found = {"nll": nats}
    levels = model.pixel_levels()
    if levels:  # without them a density has no bits that could be compared
        found["bits_per_dimension"] = float(metrics.bits_per_dimension(nats, images[0].size, levels.width))
    return {**found, **{f"test_{name}": losses[name] for name in losses}}


def _of_reconstruction(model, images, labels):
    signatures = model.signatures()
    if not {"encode", "decode"} <= set(signatures):
        return {}
    images = images[:RECONSTRUCTED_IMAGES]
    given = {"label": labels[:RECONSTRUCTED_IMAGES]} if "label" in signatures["encode"].inputs else {}
    again = model.reconstruct(images, batch_size=256, **given)
    return {
        "reconstruction_psnr": float(np.mean(metrics.psnr(images, again))),
        "reconstruction_ssim": float(np.mean(metrics.ssim(images, again))),
    }
