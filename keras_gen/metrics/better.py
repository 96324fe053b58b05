"""Which way is better, for every figure that `evaluate` gives: one table."""

# Name to "lower", "higher", or None where neither is better by itself. First what is measured of samples, by a judge.
OF_SAMPLES: dict[str, str | None] = {
    "fd": "lower",
    "kid": "lower",
    "kid_std": None,  # the spread of `kid` over its subsets
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
    "class_entropy": "higher",
    "rarest_class": "higher",
    "label_agreement": "higher",
    "copies": "lower",
    "classifier_accuracy_score": "higher",
    "class_variance": None,  # 1 is that of real images: more is as wrong as less
}
ON_PIXELS = ("classifier_accuracy_score", "class_variance")  # of samples, but of no judge's features
# Then what a model tells of itself: likelihoods, reconstructions, and its `measures`.
OF_MODELS: dict[str, str | None] = {
    "nll": "lower",
    "bits_per_dimension": "lower",
    "test_loss": "lower",
    "test_nll": "lower",
    "test_reconstruction": "lower",
    "test_kl": None,  # less of it is a code that tells less
    "reconstruction_psnr": "higher",
    "reconstruction_ssim": "higher",
    "reconstruction_ratio": "lower",
    "mse_01": "lower",
    "pca_mse_01": None,  # yardsticks: they are not of the model, as those of pixels and of random weights
    "linear_probe": "higher",
    "knn": "higher",
    "pixels_linear_probe": None,
    "pixels_knn": None,
    "pretrained_10": "higher",
    "pretrained_100": "higher",
    "random_10": None,
    "random_100": None,
    "gain_10": "higher",
    "gain_100": "higher",
    "psnr_denoised": "higher",
    "psnr_gain": "higher",
    "cluster_accuracy": "higher",
    "information": "higher",
    "ppl": "lower",
    "slant_spearman": "higher",
    "width_spearman": "higher",
    "clean_accuracy": "higher",
    "robust_accuracy": "higher",
    "robust_accuracy_search": "higher",
    "translated_l1": "lower",
    "translated_psnr": "higher",
    "translated_fd": "lower",
    "l1_of_own": "lower",
    "median_l1": None,  # baselines: the median training target, and the source as it is
    "median_psnr": None,
    "median_fd": None,
    "source_l1": None,
    "source_fd": None,
    "class_color_l1": None,  # of label maps: each class in its median color, and the image of the nearest map
    "class_color_psnr": None,
    "class_color_fd": None,
    "nearest_map_l1": None,
    "nearest_map_psnr": None,
    "nearest_map_fd": None,
    "read_back": "higher",  # by a segmenter of images and maps
    "read_back_iou": "higher",
    **{
        f"{painted}_read_back{of}": None
        for painted in ("real", "median", "class_color", "nearest_map")
        for of in ("", "_iou")
    },
    "cycle_a": "lower",
    "cycle_b": "lower",
    "changed_a": None,
    "changed_b": None,
    "upscaled_psnr": "higher",
    "upscaled_l1": "lower",
    "upscaled_octave": None,  # 1 is that of real images
    "upscaled_distance": "lower",
    **{
        f"{kind}_{name}": None
        for kind in ("nearest", "bicubic", "lanczos")
        for name in ("psnr", "l1", "octave", "distance")
    },
    "transferred_structure": "lower",
    "transferred_moments": "lower",
    **{f"{name}_{what}": None for name in ("content", "matched") for what in ("structure", "moments")},
    **{f"outline_{kind}": "higher" for kind in "ab"},
    "kinds_accuracy": None,  # of the classifier that is asked about translations, and two baselines
    **{f"looks_{kind}": "higher" for kind in "ab"},
    **{f"fd_{kind}": "lower" for kind in "ab"},
    **{
        f"{baseline}_{name}_{kind}": None
        for baseline in ("source", "recolored")
        for name in ("looks", "fd")
        for kind in "ab"
    },
    "eq_t": "higher",
    "eq_t_fractional": "higher",
    "eq_r": "higher",
    "nats_per_token": "lower",
    "nats_per_character": "lower",
    "bits_per_character": "lower",
    "perplexity": None,  # of text less is better, of a codebook more: more of its codes are in use
    "bits": None,  # the size of a code is chosen
    "bits_per_pixel": None,
}
NEIGHBORS = "neighbors_"  # begins the names of the second judge's figures
BETTER: dict[str, str | None] = {
    **OF_SAMPLES,
    **{f"{NEIGHBORS}{name}": direction for name, direction in OF_SAMPLES.items()},
    **OF_MODELS,
}


def better(name: str) -> str | None:
    """Returns `"lower"` or `"higher"`; `None` where neither is, or of a figure that is not known here.

    Args:
        name: of a figure of `evaluate`.
    """
    return BETTER.get(name)
