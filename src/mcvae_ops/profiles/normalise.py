"""Scale the features of profiles before profiles are compared."""

import numpy as np


def zscore_features(profiles: np.ndarray) -> np.ndarray:
    """Give each feature mean 0 and standard deviation 1 over the profiles.

    Parameters
    ----------
    profiles
        (profile, feature); finite.

    Returns
    -------
    (profile, feature), scaled by the population standard deviation. A constant feature becomes 0.
    """
    centred = profiles - profiles.mean(axis=0)
    deviation = profiles.std(axis=0)
    # The rounding errors of a constant feature must not be scaled up to variance 1.
    constant = deviation <= 1e-9 * np.abs(profiles).max(axis=0, initial=0.0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=~constant)
