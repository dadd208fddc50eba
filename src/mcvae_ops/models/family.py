"""The model family of Wang et al. 2023: one network whose settings give all members.

vae, cvae, cvae_prior_s, cvae_prior_z and mcvae are models of the paper; with a technical latent
space t, mcvae becomes the extension that its discussion proposes. dcvae adds a head that predicts
the label from s; docs/dcvae.md describes its method and limits.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mcvae_ops.errors import InputError
from mcvae_ops.models.networks import NETWORKS, he_initialise

BATCH_DIMENSIONS = 32
NTC_LABEL = 0
SPACES = {"s": "salient", "z": "background", "t": "technical"}
"""The latent spaces, in the order in which the decoder and the embedding have them."""


@dataclass(frozen=True)
class FamilySettings:
    """Settings that define a model and the shapes of all its parameters.

    Attributes
    ----------
    network
        Name of the encoder and decoder, a key of `NETWORKS`.
    base_width
        Channels after the first convolution.
    input_size_px, n_channels
        Shape of the input (cell, n_channels, input_size_px, input_size_px).
    salient_latent, background_latent
        Dimensions of s and z; ``salient_latent = 0`` is a plain VAE.
    technical_latent
        Dimensions of t, the technical variation of all cells: its prior mean is that of the cell's
        batch, and the objective keeps it independent of label and s. 0 is a model without t.
    prior_s_per_label, prior_z_per_label
        Whether each perturbation label has its own prior mean of s, and of z.
    label_head
        Whether a linear layer predicts the label from the posterior mean of s; it needs s.
    condition_on_batch
        Whether the decoder gets the batch (plate and well) of a cell.
    sigma
        Standard deviation of the pixels: "analytic" (the one that maximises the likelihood of the
        minibatch), "learned", or a number.
    n_labels, n_batches
        Number of labels (genes; `NTC_LABEL` is NTC) and of batches of the screen.
    """

    network: str
    base_width: int
    input_size_px: int
    n_channels: int
    salient_latent: int
    background_latent: int
    technical_latent: int
    prior_s_per_label: bool
    prior_z_per_label: bool
    label_head: bool
    condition_on_batch: bool
    sigma: str | float
    n_labels: int
    n_batches: int

    def latent(self) -> dict[str, int]:
        """Return the dimensions of the spaces that the model has, in the order of `SPACES`."""
        sizes = {space: getattr(self, f"{name}_latent") for space, name in SPACES.items()}
        return {space: size for space, size in sizes.items() if size}


@dataclass
class Posterior:
    """Diagonal Gaussian per cell; both (cell, latent)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one latent vector per cell, differentiable in mean and variance."""
        noise = torch.empty_like(self.mean).normal_(generator=generator)
        return self.mean + noise * torch.exp(0.5 * self.log_variance)


@dataclass
class Inference:
    """Outputs of the model for some cells.

    Attributes
    ----------
    posterior
        Posterior of each space that the model has.
    prior
        Prior means (cell, latent) of each space.
    reconstruction
        (cell, channel, y, x), decoded from one sample; of NTC cells with s = 0. None where it has
        been dropped, because images of many cells need much memory.
    label_logits
        (cell, label), of the head, from the posterior mean of s; None without a head.
    """

    posterior: dict[str, Posterior]
    prior: dict[str, Tensor]
    reconstruction: Tensor | None
    label_logits: Tensor | None


class Encoder(nn.Module):
    """An encoder of `NETWORKS` with linear heads for posterior mean and log variance."""

    def __init__(self, settings: FamilySettings, n_latent: int) -> None:
        super().__init__()
        encoder = NETWORKS[settings.network][0]
        self.body = encoder(settings.n_channels, settings.base_width, settings.input_size_px)
        self.heads = nn.Linear(self.body.n_features, 2 * n_latent)

    def forward(self, images: Tensor) -> Posterior:
        # Under autocast the heads give bfloat16, too coarse for sampling and for the objective.
        return Posterior(*self.heads(self.body(images)).to(images.dtype).chunk(2, dim=1))


class ContrastiveVAE(nn.Module):
    """Background encoder, salient encoder, one decoder for [s | z], prior means per label.

    Parameters
    ----------
    settings
        Settings of the model.
    seed
        Seed of the initial weights.

    Raises
    ------
    InputError
        If the network is unknown.

    References
    ----------
    Wang et al. 2023, "Multi-ContrastiveVAE disentangles perturbation effects in single cell
    images from optical pooled screens", bioRxiv.
    """

    def __init__(self, settings: FamilySettings, seed: int) -> None:
        super().__init__()
        if settings.network not in NETWORKS:
            raise InputError(
                where="configuration key training.network",
                found=repr(settings.network),
                expected=f"one of {', '.join(NETWORKS)}",
                fix="choose one of them",
            )
        self.settings = settings
        latent = settings.latent()
        self.background_encoder = Encoder(settings, latent["z"])
        self.salient_encoder = Encoder(settings, latent["s"]) if "s" in latent else None
        self.technical_encoder = Encoder(settings, latent["t"]) if "t" in latent else None
        self.batch_embedding = (
            nn.Embedding(settings.n_batches, BATCH_DIMENSIONS)
            if settings.condition_on_batch
            else None
        )
        n_batch = BATCH_DIMENSIONS if settings.condition_on_batch else 0
        self.decoder = NETWORKS[settings.network][1](
            sum(latent.values()) + n_batch,
            settings.n_channels,
            settings.base_width,
            settings.input_size_px,
        )
        self.prior_s = _label_means(settings, "s") if settings.prior_s_per_label else None
        self.prior_z = _label_means(settings, "z") if settings.prior_z_per_label else None
        self.prior_t = _means(settings.n_batches, latent["t"]) if "t" in latent else None
        self.label_head = nn.Linear(latent["s"], settings.n_labels) if settings.label_head else None
        self.log_sigma = nn.Parameter(torch.zeros(())) if settings.sigma == "learned" else None
        self._initialise(torch.Generator().manual_seed(seed))
        self.to(memory_format=torch.channels_last)

    def _initialise(self, generator: torch.Generator) -> None:
        he_initialise(self, generator)
        if self.batch_embedding is not None:
            nn.init.normal_(self.batch_embedding.weight, generator=generator)
        if self.label_head is not None:
            nn.init.zeros_(self.label_head.weight)

    def forward(
        self, images: Tensor, label: Tensor, batch: Tensor, generator: torch.Generator
    ) -> Inference:
        """Encode, sample, decode.

        Parameters
        ----------
        images
            (cell, channel, y, x), preprocessed.
        label, batch
            int64 (cell,): number of the gene (`NTC_LABEL` for NTC), and of the batch.
        generator
            Source of the latent samples.
        """
        posteriors = {space: encode(images) for space, encode in self.encoders().items()}
        samples = {space: q.sample(generator) for space, q in reversed(posteriors.items())}
        if "s" in samples:
            samples["s"] = samples["s"].masked_fill((label == NTC_LABEL)[:, None], 0.0)
        prior = {
            space: self._prior_means(space, label, batch, q.mean) for space, q in posteriors.items()
        }
        logits = None if self.label_head is None else self.label_head(posteriors["s"].mean)
        return Inference(posteriors, prior, self.decode(samples, batch), logits)

    def encoders(self) -> dict[str, Encoder]:
        """Return the encoders that the model has, in the order of `SPACES`."""
        encoders = {space: getattr(self, f"{name}_encoder") for space, name in SPACES.items()}
        return {space: encoder for space, encoder in encoders.items() if encoder is not None}

    def _prior_means(self, space: str, label: Tensor, batch: Tensor, like: Tensor) -> Tensor:
        means = {"s": self.prior_s, "z": self.prior_z, "t": self.prior_t}[space]
        return torch.zeros_like(like) if means is None else means(batch if space == "t" else label)

    def decode(self, latent: dict[str, Tensor], batch: Tensor) -> Tensor:
        """Return images (cell, channel, y, x) in [-1, 1] of latent vectors (cell, latent)."""
        parts = [latent[space] for space in self.settings.latent()]
        if self.batch_embedding is not None:
            parts.append(self.batch_embedding(batch))
        return self.decoder(torch.cat(parts, dim=1)).to(parts[0].dtype)

    def embed(self, images: Tensor) -> dict[str, Tensor]:
        """Return the posterior means (cell, latent) of each space that the model has."""
        return {space: encode(images).mean for space, encode in self.encoders().items()}


def _means(n_rows: int, n_latent: int, fixed_row: int | None = None) -> nn.Embedding:
    # The padding row gets no gradient, so the prior mean of NTC starts at 0 and stays there.
    means = nn.Embedding(n_rows, n_latent, padding_idx=fixed_row)
    nn.init.zeros_(means.weight)
    return means


def _label_means(settings: FamilySettings, space: str) -> nn.Embedding:
    return _means(settings.n_labels, settings.latent()[space], NTC_LABEL)
