"""Judges a trained model: the metrics that suit it, by a fixed protocol, beside the ladder of known damage."""

import hashlib
from typing import Any, NamedTuple

import numpy as np

from keras_gen import metrics
from keras_gen.data.examples import Examples
from keras_gen.errors import UsageError
from keras_gen.images import from_uint8
from keras_gen.metrics.samples import mean_psnr
from keras_gen.signatures.draws import sample_inputs

LIKELIHOOD_IMAGES = 1000  # the bound takes many passes for each
RECONSTRUCTED_IMAGES = 1000
LEAST = 100  # samples, and real images beside them, below which a judge says nothing
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
    a likelihood gives it, and one that reconstructs is asked to. Of text, and of a model that makes images of images,
    the model's own figures are all there is.

    Without labels, or with one class only, there is no classifier to be a judge: the other one, likelihoods,
    reconstructions and copies need none. Of fewer than 200 test images, likelihoods and reconstructions are measured.
    A model that makes images of images gives its own figures only.

    Args:
        model: a `keras_gen.GenerativeModel`.
        train: what it was trained on, in the model's image shape, with labels where there are any.
        test: the rest.
        n: samples, and real images: at most half of the test images.
        seed: of the samples, of the order of the test images and of the judges.

    Returns:
        The evaluation; the same arguments give the same figures.

    Raises:
        UsageError: too few images to measure anything, no labels where the model needs them, or images of another
            shape.
    """
    of_images = any(signature.meta.get("given") for signature in model.signatures().values())
    if "image" not in test.arrays or of_images:
        protocol = {"data": test.name, "split": "test", "n_real": len(test), "seed": seed, "judges": []}
        return Evaluation(model.measures(train, test, seed), protocol, {})
    if "label" in model.expects():
        train, test = (part.labelled_as(model.class_names) for part in (train, test))
    images, labels = _shuffled(test, seed)
    given = _given(model, labels, test.name)
    signatures = model.signatures()
    n, judges = min(n, len(images) // 2), []
    if n < LEAST and model.density == "implicit" and not {"encode", "decode"} <= set(signatures):
        raise UsageError(f"{test.name} has {len(images)} test images; expected at least {2 * LEAST}")
    if not all("label" in part.arrays and len(np.unique(part.arrays["label"])) > 1 for part in (train, test)):
        train, test, labels = _unlabelled(train), _unlabelled(test), None
    found: dict[str, float] = {}
    protocol = {"data": test.name, "split": "test", "n_real": n, "n_fake": n, "seed": seed}
    damage: dict[str, dict[str, float]] = {}
    if n >= LEAST:
        judges = [metrics.NeighborJudge.for_data(train, test, seed=seed)]
        if labels is not None:
            judges = [metrics.Judge.for_data(train, test, seed=seed), *judges]
        if any("sample" in signature.meta for signature in signatures.values()):
            found |= _of_samples(model, judges, images[: 2 * n], labels, train, seed, protocol)
        damage = _damage(judges[0], images[: 2 * n], labels, seed)
    else:
        protocol |= {"n_real": len(images), "n_fake": 0}
    found |= _of_likelihood(model, images, given, seed, protocol) | _of_reconstruction(model, images, given)
    found |= model.measures(train, test, seed)
    protocol["judges"] = [
        {"kind": judge.kind, "features": judge.features(images[:1]).shape[1], "digest": judge.digest}
        | {"accuracy": judge.accuracy}
        for judge in judges
    ]
    return Evaluation(found, protocol, damage)


def _damage(judge, images, labels, seed):
    """Returns the ladder; of the same images it is computed once, for runs that are compared."""
    labels = None if labels is None else labels[: len(images)]
    content = images.tobytes() + (b"" if labels is None else labels.tobytes())
    key = (judge.digest, hashlib.sha256(content).hexdigest(), seed)
    if key not in _ladders:
        rungs = metrics.ladder(judge, images, labels, seed=seed)
        _ladders.clear()
        _ladders[key] = {rung.name: {name: float(x) for name, x in rung.figures.items()} for rung in rungs}
    return _ladders[key]


def _shuffled(test, seed):
    """Returns images in random order, and their labels or None."""
    order = np.random.default_rng(seed).permutation(len(test))
    labels = np.asarray(test.arrays["label"])[order] if "label" in test.arrays else None
    return from_uint8(test.arrays["image"][order]), labels


def _unlabelled(part):
    return Examples({name: value for name, value in part.arrays.items() if name != "label"}, (), part.name)


def _given(model, labels, name):
    """Returns what the model's networks see besides images."""
    if "label" not in model.expects() or (model.density == "implicit" and labels is None):
        return {}
    if labels is None:
        raise UsageError(f"{name} has no labels, which the model is conditioned on; give labelled data")
    return {"label": labels}


def _of_samples(model, judges, images, labels, train, seed, protocol):
    n = len(images) // 2
    real, held_out = images[:n], images[n:]
    signature = next(found for found in model.signatures().values() if "sample" in found.meta)
    fake, asked = model.sample(n, seed=seed), None
    if labels is not None and "label" in signature.inputs:
        shapes = {name: spec.shape.as_list() for name, spec in signature.inputs.items()}
        asked = sample_inputs(shapes, signature.meta, n, seed)["label"]
    found = {}
    for judge in judges:
        begin = metrics.NEIGHBORS if judge.kind == metrics.NeighborJudge.kind else ""
        figures = metrics.compare(judge, real, fake, asked=asked, seed=seed)
        found |= {f"{begin}{name}": float(figure) for name, figure in figures.items()}
    features = judges[0].features
    copies = metrics.nearest_neighbor_copies(features(fake), features(train.arrays["image"]), features(held_out))
    found["copies"] = float(copies.share)
    if asked is not None:
        score, (real_labels, true) = metrics.classifier_accuracy_score, (labels[:n], train.arrays)
        found["classifier_accuracy_score"] = score(fake, asked, real, real_labels)
        chosen = np.random.default_rng(seed).permutation(len(train))[:n]
        known = from_uint8(true["image"][chosen])
        protocol["classifier_accuracy_of_real"] = score(known, true["label"][chosen], real, real_labels)
        variance = metrics.within_class_variance
        found["class_variance"] = variance(fake, asked) / variance(real, real_labels)  # 1 for real images
    return found


def _of_likelihood(model, images, given, seed, protocol):
    if model.density == "implicit":
        return {}
    protocol["likelihood_images"] = min(LIKELIHOOD_IMAGES, len(images))
    first = {name: value[:LIKELIHOOD_IMAGES] for name, value in given.items()}
    log_prob = model.log_prob(images[:LIKELIHOOD_IMAGES], seed=seed, **first)
    nats = -float(np.mean(log_prob))
    losses = model.evaluate({"image": images, **given}, batch_size=500, verbose=0, return_dict=True)
    found, levels = {"nll": nats}, model.pixel_levels()
    if levels:  # without them a density has no bits that could be compared
        protocol["levels"] = levels.count
        found["bits_per_dimension"] = float(metrics.bits_per_dimension(nats, images[0].size, levels.width))
    return {**found, **{f"test_{name}": losses[name] for name in losses}}


def _of_reconstruction(model, images, given):
    signatures = model.signatures()
    if not {"encode", "decode"} <= set(signatures):
        return {}
    images = images[:RECONSTRUCTED_IMAGES]
    given = {name: value[:RECONSTRUCTED_IMAGES] for name, value in given.items() if name in signatures["encode"].inputs}
    again = model.reconstruct(images, batch_size=256, **given)
    return {
        "reconstruction_psnr": mean_psnr(images, again),
        "reconstruction_ssim": float(np.mean(metrics.ssim(images, again))),
    }
