"""What each latent space knows that it should not: probes on held-out cells, and warnings in words.

A probe is a kernel ridge regression on standardised latent vectors, which also reads dimensions
with a tiny variance: fitted on one half of the validation cells and tested on the other.
"""

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.models.family import NTC_LABEL, Posterior
from mcvae_ops.models.hsic import gaussian_kernel

RIDGE = 1.0
"""Added to the diagonal of the kernel, whose diagonal is 1."""
LEAST_TESTED = 100
"""A probe of fewer cells tells nothing: the AUROC of 50 against 50 has a standard error of .06."""
ARM_AUROC = 0.8
"""From z; perturbations that shift natural states explain some of it, so only more is a warning."""
PLACE_AUROC = 0.7
"""With which s of control cells may tell the batch, or the middle of the field of view."""
SHARE_OF_GENE = 0.5
"""Of what s knows of the gene beyond chance; z that knows more than this is a warning."""
LEAST_KL = 1.0
"""Nats per control cell; a background with less describes nothing, and so cannot leak."""


def leaks(
    posterior: dict[str, Posterior],
    label: Tensor,
    batch: Tensor,
    is_outer: Tensor | None,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Return what z knows of the perturbation, and s of the place of a control cell.

    Parameters
    ----------
    posterior
        Of each space that the model has, of all validation cells.
    label, batch
        Numbers of the label and of the batch, (cell,).
    is_outer
        Whether a cell lies in the outer half of its field of view, (cell,); None if not known.
    generator
        Source of the samples of z.

    Returns
    -------
    arm_auroc_z, arm_auroc_z_samples
        AUROC of perturbed against control cells, from the posterior means of z, and from samples.
    gene_accuracy_z, gene_accuracy_z_samples, gene_accuracy_s, gene_accuracy_chance
        Share of the perturbed cells whose gene is told; chance is always saying the most frequent.
    batch_auroc_s, position_auroc_s
        From s of control cells: AUROC of a batch against the others, mean over batches; and of
        cells in the outer half of their field of view.

    NaN where `told` is; `mcvae_ops.benchmarks.cell_neighbours` has more cells.
    """
    is_perturbed = label != NTC_LABEL
    z = {"z": posterior["z"].mean, "z_samples": posterior["z"].sample(generator)}
    values = {}
    for name, latent in z.items():
        values[f"arm_auroc_{name}"] = told(latent, is_perturbed.long())[0]
    spaces = z | ({"s": posterior["s"].mean} if "s" in posterior else {})
    genes = label[is_perturbed]
    for name, latent in spaces.items():
        values[f"gene_accuracy_{name}"] = told(latent[is_perturbed], genes)[1]
    tested = genes[1::2]
    values["gene_accuracy_chance"] = tested.bincount().max() / len(tested)
    if "s" in posterior:
        s = posterior["s"].mean[~is_perturbed]
        values["batch_auroc_s"] = told(s, batch[~is_perturbed])[0]
        if is_outer is not None:
            values["position_auroc_s"] = told(s, is_outer[~is_perturbed].long())[0]
    return values


def told(latent: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return how well a probe tells classes of cells apart: AUROC, and accuracy.

    Parameters
    ----------
    latent
        (cell, latent); cells with an even number are fitted, the others are tested.
    classes
        int64 (cell,).

    Returns
    -------
    The area under the ROC curve of each class against the others, mean over the classes that have
    cells on both sides and are not alone; and the share of the tested cells whose class is told.
    NaN if there is one class, if fewer than `LEAST_TESTED` cells are tested, or if a vector is not
    finite.
    """
    names, classes = classes.unique(return_inverse=True)
    if len(names) < 2 or len(latent) // 2 < LEAST_TESTED or not latent.isfinite().all():
        return latent.new_tensor(torch.nan), latent.new_tensor(torch.nan)
    spread = latent.std(dim=0).clamp(min=1e-12)
    kernel = gaussian_kernel(latent / spread)
    fitted, tested = slice(0, None, 2), slice(1, None, 2)
    targets = torch.nn.functional.one_hot(classes).to(kernel.dtype)
    mean = targets[fitted].mean(dim=0)
    ridge = RIDGE * torch.eye(len(targets[fitted]), dtype=kernel.dtype, device=kernel.device)
    factor = torch.linalg.cholesky(kernel[fitted, fitted] + ridge)
    weights = torch.cholesky_solve(targets[fitted] - mean, factor)
    scores, truth = kernel[tested, fitted] @ weights + mean, targets[tested]
    accuracy = (scores.argmax(dim=1) == classes[tested]).to(kernel.dtype).mean()
    return mean_auroc(scores, truth), accuracy


def mean_auroc(scores: Tensor, truth: Tensor) -> Tensor:
    """Return the mean AUROC of the columns of scores; of columns with cells of both kinds.

    Parameters
    ----------
    scores, truth
        (cell, class); truth is 1.0 for cells of the class and 0.0 for others. Scores without ties.
    """
    ranks = scores.argsort(dim=0).argsort(dim=0).to(scores.dtype) + 1.0
    n_in = truth.sum(dim=0)
    n_out = len(truth) - n_in
    area = ((ranks * truth).sum(dim=0) - n_in * (n_in + 1.0) / 2.0) / (n_in * n_out)
    return area[(n_in > 0) & (n_out > 0)].mean()


def outer_half(y_px: np.ndarray, x_px: np.ndarray) -> np.ndarray:
    """Return whether cells lie in the outer half of their field of view, bool (cell,).

    The middle is that of the range of the cells; the distance from it is the larger of y and x.
    """
    distances = [np.abs(place - (place.min() + place.max()) / 2) for place in (y_px, x_px)]
    distance = np.maximum(*distances)
    return distance > np.median(distance)


def leak_warnings(values: dict) -> dict[str, str]:
    """Return warnings about what the spaces know that they should not, by name.

    Parameters
    ----------
    values
        Values of `mcvae_ops.training.validate.validate`.
    """
    known = {name: value for name, value in values.items() if value is not None}
    found = {name: known.get(name, np.nan) for name in _READ}
    warnings = {}
    z, s, chance = (found[f"gene_accuracy_{name}"] for name in ("z", "s", "chance"))
    if s > 2 * chance and z - chance > SHARE_OF_GENE * (s - chance):
        warnings["background_knows_the_gene"] = (
            f"z tells the gene of a perturbed cell with an accuracy of {z:.3g}, s with {s:.3g} "
            f"(chance {chance:.3g}): the background holds what perturbations do; "
            "training.separation_weight forbids it (docs/models.md)"
        )
    if found["arm_auroc_z"] > ARM_AUROC:
        warnings["background_knows_the_arm"] = (
            f"z tells perturbed from control cells with an AUROC of {found['arm_auroc_z']:.2f}: "
            "perturbations shift natural states that far, or the background holds what only they do"
        )
    if found["kl_z_ntc"] < LEAST_KL:
        warnings["background_is_empty"] = (
            f"z holds {found['kl_z_ntc']:.2f} nats of a control cell, so that it tells little of a "
            "perturbation means nothing; lower separation_weight or kl_weight"
        )
    for name, place in (("batch", "batch"), ("position", "place in the field of view")):
        if found[f"{name}_auroc_s"] > PLACE_AUROC:
            warnings[f"salient_knows_the_{name}"] = (
                f"s of control cells tells their {place} with an AUROC of "
                f"{found[f'{name}_auroc_s']:.2f}: part of s is no effect of perturbations; "
                "see normalise_batches and crop.illumination"
            )
    return warnings


_READ = (
    "gene_accuracy_z", "gene_accuracy_s", "gene_accuracy_chance", "arm_auroc_z", "kl_z_ntc",
    "batch_auroc_s", "position_auroc_s",
)  # fmt: skip
