"""TF-IDF with logistic regression by scikit-learn, from the extra ``classify``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

MOST_ROWS: Final = 10_000
"""Maximum number of rows to learn from, spread evenly."""
MOST_CHARACTERS: Final = 4000
"""Maximum number of characters of a text; of a longer one, the beginning."""
MOST_FEATURES: Final = 50_000
MOST_WEIGHTS: Final = 2_000_000
"""Maximum number of features multiplied by labels: some hundred MiB while it learns."""
INVERSE_REGULARIZATION: Final = 10.0
"""TF-IDF's rows have length 1: scikit-learn's default of 1 would regularize a few hundred rows too much."""
SPACES: Final = 0.05
"""Minimum share of spaces in texts whose words are separated by them."""


def available() -> bool:
    """Return whether scikit-learn can be imported."""
    try:
        import sklearn.linear_model  # noqa: F401
    except ImportError:
        return False
    return True


class Probabilities(NamedTuple):
    """The ``shares`` of ``labels`` for each text, ``[texts, labels]``."""

    labels: list[str]
    shares: NDArray[np.float64]


def predict(texts: Sequence[str], labels: Sequence[str], asked: Sequence[str]) -> list[str] | None:
    """Return the likeliest label of each text ``asked``, learned from ``texts`` with their ``labels``.

    None for labels that are all the same.
    """
    if len(set(labels)) < 2:
        return None
    found = probabilities(texts, labels, asked)
    return [found.labels[place] for place in found.shares.argmax(1)]


def probabilities(texts: Sequence[str], labels: Sequence[str], asked: Sequence[str]) -> Probabilities:
    """Return the probabilities of the labels of each text ``asked``, learned from ``texts`` with their
    ``labels``, at least two different ones.
    """
    step = -(-len(texts) // MOST_ROWS) or 1
    if len(set(labels[::step])) > 1:
        texts, labels = texts[::step], labels[::step]
    model = _pipeline(texts, len(set(labels)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as of one that has not fully converged, which is close enough
        model.fit(_shortened(texts), list(labels))
        shares = model.predict_proba(_shortened(asked))
    return Probabilities([str(label) for label in model.classes_], shares)


def predict_several(
    texts: Sequence[str], labels: Sequence[Sequence[bool]], asked: Sequence[str]
) -> list[list[bool]]:
    """Return whether each text ``asked`` has each label, learned from ``texts`` of which each has ``labels``.

    One logistic regression for each label.
    """
    from sklearn.multiclass import OneVsRestClassifier

    step = -(-len(texts) // MOST_ROWS) or 1
    texts, labels = texts[::step], labels[::step]
    pipeline = _pipeline(texts, len(labels[0]))
    features, model = pipeline[0], pipeline[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # also of a label that all rows have, or none
        known = features.fit_transform(_shortened(texts))
        several = OneVsRestClassifier(model).fit(known, labels)
        found: list[list[bool]] = several.predict(features.transform(_shortened(asked))).astype(bool).tolist()
    return found


def _pipeline(texts: Sequence[str], labels: int) -> Pipeline:
    """Return an unfitted pipeline for texts like these.

    Its features are words and pairs of words, or 1 to 3 characters if words are not separated by spaces.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    spaces, characters = sum(text.count(" ") for text in texts), sum(map(len, texts))
    words = spaces >= SPACES * characters
    features = TfidfVectorizer(
        analyzer="word" if words else "char",
        ngram_range=(1, 2) if words else (1, 3),
        token_pattern=r"\w+|[^\w\s]",  # noqa: S106
        sublinear_tf=True,
        max_features=min(MOST_FEATURES, MOST_WEIGHTS // labels),
    )
    return make_pipeline(features, LogisticRegression(C=INVERSE_REGULARIZATION, max_iter=300))


def _shortened(texts: Sequence[str]) -> list[str]:
    return [text[:MOST_CHARACTERS] for text in texts]
