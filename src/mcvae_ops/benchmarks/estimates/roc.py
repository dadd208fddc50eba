"""Area under the ROC curve (AUROC), with a paired bootstrap over genes."""

import numpy as np


def auroc_rounds(
    scores: np.ndarray, is_positive: np.ndarray, rounds: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the AUROC of several scores of the same genes, with bootstrap rounds.

    Parameters
    ----------
    scores
        (score, gene), finite.
    is_positive
        (gene,).
    rounds, seed
        Number of rounds and seed of the bootstrap. Positives and negatives are drawn separately,
        with replacement; all scores share the draws, so that their differences are paired.

    Returns
    -------
    (score,) and (score, round); NaN unless there are positives and negatives. A tie between a
    positive and a negative counts half.
    """
    positive, negative = scores[:, is_positive], scores[:, ~is_positive]
    n_positive, n_negative = positive.shape[1], negative.shape[1]
    if n_positive == 0 or n_negative == 0:
        return np.full(len(scores), np.nan), np.full((len(scores), rounds), np.nan)
    larger = positive[:, :, None] > negative[:, None, :]
    wins = larger + 0.5 * (positive[:, :, None] == negative[:, None, :])
    rng = np.random.default_rng([seed, 5])
    positive_weights, negative_weights = (
        rng.multinomial(n, np.full(n, 1 / n), size=rounds) / n for n in (n_positive, n_negative)
    )
    # The AUROC is the share of pairs that the positive wins: a resample only weighs these pairs.
    resampled = np.einsum("rp,spn,rn->sr", positive_weights, wins, negative_weights, optimize=True)
    return wins.mean(axis=(1, 2)), resampled
