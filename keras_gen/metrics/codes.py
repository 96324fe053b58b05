"""What codes keep: how well classes can be read off them, and what a linear code of the same size would keep."""

import numpy as np
from numpy.typing import ArrayLike

from keras_gen.errors import UsageError
from keras_gen.metrics.checks import class_labels, pair, rows, whole


def linear_probe(codes: ArrayLike, labels: ArrayLike, test_codes: ArrayLike, test_labels: ArrayLike) -> float:
    """Returns the accuracy of a logistic regression on codes: how far they lay the classes apart.

    Args:
        codes: (n, d) of labelled examples, or images, which are flattened.
        labels: (n,) their classes.
        test_codes: (m, d) of other examples.
        test_labels: (m,) their classes.

    Returns:
        A share in [0, 1]. Coordinates are standardized first; the penalty is scikit-learn's default.

    Raises:
        UsageError: lengths or numbers of coordinates differ, or there is only one class to learn.

    Reference:
        Alain and Bengio, "Understanding intermediate layers using linear classifier probes", 2016, arXiv:1610.01644.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # On raw pixels the last digits of the optimum take minutes, and decide nothing.
    return _accuracy(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, tol=1e-3)),
        codes,
        labels,
        test_codes,
        test_labels,
    )


def nearest_neighbors(
    codes: ArrayLike, labels: ArrayLike, test_codes: ArrayLike, test_labels: ArrayLike, k: int = 5
) -> float:
    """Returns the accuracy of the k nearest neighbors on codes: whether examples of a class lie together.

    Args:
        codes: (n, d) of labelled examples, or images, which are flattened.
        labels: (n,) their classes.
        test_codes: (m, d) of other examples.
        test_labels: (m,) their classes.
        k: neighbors that vote, by Euclidean distance.

    Returns:
        A share in [0, 1].

    Raises:
        UsageError: lengths or numbers of coordinates differ, there is one class only, or fewer than `k` examples.
    """
    from sklearn.neighbors import KNeighborsClassifier

    k = whole("k", k, most=len(rows("codes", codes)))
    return _accuracy(KNeighborsClassifier(k, algorithm="brute"), codes, labels, test_codes, test_labels)


def _accuracy(classifier, codes, labels, test_codes, test_labels):
    codes, test_codes = pair(codes, test_codes)
    labels = class_labels("labels", labels, len(codes))
    test_labels = class_labels("test_labels", test_labels, len(test_codes))
    if len(np.unique(labels)) < 2:
        raise UsageError(f"all labels are {labels[0]}; expected at least 2 classes")
    classifier.fit(codes.astype(np.float32), labels)
    return float(np.mean(classifier.predict(test_codes.astype(np.float32)) == test_labels))


def pca_error(train: ArrayLike, test: ArrayLike, components: int, seed: int = 0) -> float:
    """Returns the error of principal components: what a linear autoencoder with such a code reaches at best.

    Args:
        train: (n, d) that the components are of, or images, which are flattened.
        test: (m, d) that they have to reconstruct.
        components: coordinates of the code; 0 leaves the mean alone.
        seed: of the randomized solver, which is used where there are more than 1,000 features.

    Returns:
        The squared error, a mean over features and examples of `test`, in squared units of the features: of images in
        [-1, 1] it is four times that of images in [0, 1].

    Raises:
        UsageError: numbers of features differ, or more components than features or examples.
    """
    from sklearn.decomposition import PCA

    train, test = (part.astype(np.float32) for part in pair(train, test))
    whole("components", components, 0, min(train.shape))
    if components == 0:
        return float(np.mean(np.square(test - train.mean(axis=0, dtype=np.float64))))
    pca = PCA(components, random_state=seed).fit(train)
    return float(np.mean(np.square(test - pca.inverse_transform(pca.transform(test)))))
