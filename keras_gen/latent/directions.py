"""Directions of a latent space that change the images most, found from decoded samples: no gradients are needed."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError
from keras_gen.latent.moves import as_latents, at_least

VARIANCE = {"normal": 1.0, "uniform": 1 / 3}  # of a prior, along every unit vector
THREE_SIGMA = {law: 3 * variance**0.5 for law, variance in VARIANCE.items()}


class Directions(NamedTuple):
    """What `directions` found.

    Args:
        vectors: (n, d) of unit length and at right angles, the one that changes the images most first.
        shares: (n,) of the images' variance under the prior, the part that moving along each one explains.
    """

    vectors: np.ndarray
    shares: np.ndarray


def directions(
    decode: Callable[..., np.ndarray],
    n: int = 2,
    samples: int | None = None,
    seed: int = 0,
    label: ArrayLike | None = None,
) -> Directions:
    """Finds the directions along which images change most.

    Samples are decoded, and the pixels regressed on the latents by least squares: image = mean + A latent. The right
    singular vectors of A are the directions, those of the largest singular values first. They have unit length; the
    sign makes the largest coordinate positive. Of a linear decoder they are exact; otherwise they are those of the
    linear function that is nearest to it over the whole prior.

    Args:
        decode: a `Decoder`.
        n: how many, at most its `dim`.
        samples: to decode; by default 8 for each latent coordinate, and at least 256.
        seed: of the samples.
        label: of a conditional model: the class of all samples.

    Returns:
        The directions, and the shares of the variance that they explain.

    Raises:
        UsageError: `n` is above the number of coordinates, too few samples, or a decoder without a prior.

    Example:
        ```python
        decode = keras_gen.latent.decoder("dcgan")
        found = keras_gen.latent.directions(decode, n=3)
        start = decode.draw(1, seed=0)[0]
        rows = [keras_gen.latent.along(start, [one], [[-3], [0], [3]]) for one in found.vectors]
        ```

    Reference:
        Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", 2020, arXiv:2004.02546, who regress latents
        on principal components of features; the singular vectors of a layer's own weights are those of Shen and Zhou,
        "Closed-Form Factorization of Latent Semantics in GANs", 2020, arXiv:2007.06600.
    """
    dim = decode.dim
    if decode.law not in VARIANCE:
        raise UsageError(f"an input {decode.name!r} without a prior has no directions; give coordinates, or latents")
    if at_least("n", n) > dim:
        raise UsageError(f"n is {n}, and there are {dim} latent coordinates; expected at most {dim}")
    samples = at_least("samples", max(256, 8 * dim) if samples is None else samples, dim + 2)
    latents = decode.draw(samples, seed)
    pixels = decode(latents, label).reshape(samples, -1)
    if n > pixels.shape[1]:
        raise UsageError(f"n is {n}, and images have {pixels.shape[1]} numbers; expected at most as many")
    latents, pixels = (part - part.mean(axis=0, dtype=np.float64) for part in (latents, pixels))
    slopes = np.linalg.lstsq(latents, pixels, rcond=None)[0]  # (d, pixels): A transposed
    vectors, singular, _ = np.linalg.svd(slopes, full_matrices=False)
    left = np.square(pixels - latents @ slopes).sum()  # what no linear function explains
    explained = samples * VARIANCE[decode.law] * np.square(singular)
    shares = explained / max(explained.sum() + left, np.finfo(float).tiny)
    vectors = vectors.T[:n]
    largest = vectors[np.arange(n), np.abs(vectors).argmax(axis=1)]
    vectors = vectors * np.sign(largest)[:, None]
    return Directions(vectors.astype(np.float32), shares[:n])


def along(latents: ArrayLike, vectors: ArrayLike, components: ArrayLike, law: str | None = None) -> np.ndarray:
    """Gives latents other components along directions; what is at right angles to all of them stays.

    Args:
        latents: (d,) or (..., d) that broadcasts.
        vectors: (k, d) of unit length and at right angles to each other: rows of `Directions.vectors`, or of the
            identity, with which this is what `traverse` and `manifold` do.
        components: (..., k) along each.
        law: `"uniform"` cuts at the ends of its range, [-1, 1], what would leave it; otherwise nothing is cut.

    Returns:
        float32 (..., d).
    """
    latents, vectors = as_latents(latents), as_latents(vectors)
    if vectors.ndim != 2 or latents.shape[-1:] != vectors.shape[1:]:
        raise UsageError(f"latents are {latents.shape} and vectors {vectors.shape}; expected (..., d) and (k, d)")
    components = as_latents(components)
    if components.shape[-1:] != vectors.shape[:1]:
        raise UsageError(f"components are {components.shape}; expected (..., {len(vectors)}), one for each vector")
    moved = latents + (components - latents @ vectors.T) @ vectors
    return np.clip(moved, -1, 1) if law == "uniform" else moved


def reach(law: str, vectors: ArrayLike) -> float:
    """Returns how far from 0 to move along unit vectors.

    Normal latents have the same law along each, and 3 is three standard deviations. Uniform ones end at the faces of a
    cube: three standard deviations are the root of 3, but not farther than where a line from the center meets the first
    face, so that along a coordinate it is 1 and nothing beyond the range is decoded.

    Args:
        law: `"normal"` or `"uniform"`.
        vectors: (k, d); the one that allows least decides.
    """
    if law not in THREE_SIGMA:
        raise UsageError(f"law {law!r} has no reach here; known: {', '.join(THREE_SIGMA)}")
    if law == "normal":
        return THREE_SIGMA[law]
    return min(THREE_SIGMA[law], float(1 / np.abs(as_latents(vectors)).max()))
