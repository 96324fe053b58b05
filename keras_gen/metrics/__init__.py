"""How good samples are: plain functions on arrays, and judges that turn images into features and labels."""

from keras_gen.errors import check_backend

check_backend()

from keras_gen.metrics.better import BETTER, NEIGHBORS, better
from keras_gen.metrics.codes import linear_probe, nearest_neighbors, pca_error
from keras_gen.metrics.compare import Rung, compare, ladder
from keras_gen.metrics.distance import (
    KID,
    Copies,
    DensityCoverage,
    Moments,
    Neighborhoods,
    PrecisionRecall,
    density_coverage,
    frechet_distance,
    kid,
    nearest_neighbor_copies,
    neighborhoods,
    precision_recall,
)
from keras_gen.metrics.few_labels import few_labels
from keras_gen.metrics.figure import Figure, side_by_side
from keras_gen.metrics.inception import Inception
from keras_gen.metrics.judge import Judge, Judged, NeighborJudge
from keras_gen.metrics.path_length import path_length
from keras_gen.metrics.samples import (
    ClassHistogram,
    DisplacementErrors,
    ModeCoverage,
    bits_per_dimension,
    class_histogram,
    classifier_accuracy_score,
    displacement_errors,
    label_agreement,
    mode_coverage,
    psnr,
    ssim,
    within_class_variance,
)

__all__ = [
    "BETTER",
    "ClassHistogram",
    "Copies",
    "DensityCoverage",
    "DisplacementErrors",
    "Figure",
    "Inception",
    "Judge",
    "Judged",
    "KID",
    "NEIGHBORS",
    "ModeCoverage",
    "Moments",
    "NeighborJudge",
    "Neighborhoods",
    "PrecisionRecall",
    "Rung",
    "better",
    "bits_per_dimension",
    "class_histogram",
    "classifier_accuracy_score",
    "compare",
    "density_coverage",
    "displacement_errors",
    "few_labels",
    "frechet_distance",
    "kid",
    "label_agreement",
    "ladder",
    "linear_probe",
    "mode_coverage",
    "nearest_neighbor_copies",
    "nearest_neighbors",
    "neighborhoods",
    "path_length",
    "pca_error",
    "precision_recall",
    "psnr",
    "side_by_side",
    "ssim",
    "within_class_variance",
]
