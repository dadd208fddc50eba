"""Area under the ROC curve, with a bootstrap that keeps scores paired."""

import numpy as np


def auroc_rounds(
    scores: np.ndarray, is_positive: np.ndarray, rounds: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the area under the ROC curve of several scores of the same genes, with its bootstrap.

    Parameters
    ----------
    scores
        (score, gene), finite.
    is_positive
        (gene,).
    rounds, seed
        Positives and negatives are drawn with replacement, each among themselves; all scores
        share the draws, so that their differences are paired.

    Returns
    -------
    (score,) and (score, round); NaN unless there are positives and negatives. Ties count half.
    """
    positive, negative = scores[:, is_positive], scores[:, ~is_positive]
    n_positive, n_negative = positive.shape[1], negative.shape[1]
    if n_positive == 0 or n_negative == 0:
        return np.full(len(scores), np.nan), np.full((len(scores), rounds), np.nan)
    larger = positive[:, :, None] > negative[:, None, :]
    wins = larger + 0.5 * (positive[:, :, None] == negative[:, None, :])
    rng = np.random.default_rng([seed, 5])
    some, others = (
        rng.multinomial(n, np.full(n, 1 / n), size=rounds) / n for n in (n_positive, n_negative)
    )
    return wins.mean(axis=(1, 2)), np.einsum("rp,spn,rn->sr", some, wins, others, optimize=True)
