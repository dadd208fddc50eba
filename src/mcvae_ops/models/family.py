"""The family of Wang et al. 2023: vae, cvae, cvae_prior_s, cvae_prior_z and mcvae are settings."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mcvae_ops.errors import InputError
from mcvae_ops.models.networks import NETWORKS, he_initialise

BATCH_DIMENSIONS = 32
NTC_LABEL = 0


@dataclass(frozen=True)
class FamilySettings:
    """What fixes a model and the shapes of all its parameters.

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
    prior_s_per_label, prior_z_per_label
        Whether each perturbation label has its own prior mean of s, of z.
    condition_on_batch
        Whether the decoder is told the batch (plate and well) of a cell.
    sigma
        Standard deviation of the pixels: "analytic" (the maximum of the likelihood over the
        batch), "learned", or a number.
    n_labels, n_batches
        Labels (genes; `NTC_LABEL` is NTC) and batches of the screen.
    """

    network: str
    base_width: int
    input_size_px: int
    n_channels: int
    salient_latent: int
    background_latent: int
    prior_s_per_label: bool
    prior_z_per_label: bool
    condition_on_batch: bool
    sigma: str | float
    n_labels: int
    n_batches: int


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
    """What the model says of a batch of cells; everything about s is None in a plain VAE.

    Attributes
    ----------
    z, s
        Posteriors.
    prior_z, prior_s
        Prior means (cell, latent).
    reconstruction
        (cell, channel, y, x), decoded from one sample; NTC with s = 0 exactly.
    """

    z: Posterior
    prior_z: Tensor
    s: Posterior | None
    prior_s: Tensor | None
    reconstruction: Tensor


class Encoder(nn.Module):
    """A named encoder with linear heads for posterior mean and log variance."""

    def __init__(self, settings: FamilySettings, n_latent: int) -> None:
        super().__init__()
        encoder = NETWORKS[settings.network][0]
        self.body = encoder(settings.n_channels, settings.base_width, settings.input_size_px)
        self.heads = nn.Linear(self.body.n_features, 2 * n_latent)

    def forward(self, images: Tensor) -> Posterior:
        return Posterior(*self.heads(self.body(images)).chunk(2, dim=1))


class ContrastiveVAE(nn.Module):
    """Background encoder, salient encoder, one decoder for [s | z], prior means per label.

    Parameters
    ----------
    settings
        The member of the family.
    seed
        Of the initial weights.

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
        n_s, n_z = settings.salient_latent, settings.background_latent
        self.background_encoder = Encoder(settings, n_z)
        self.salient_encoder = Encoder(settings, n_s) if n_s else None
        self.batch_embedding = (
            nn.Embedding(settings.n_batches, BATCH_DIMENSIONS)
            if settings.condition_on_batch
            else None
        )
        n_batch = BATCH_DIMENSIONS if settings.condition_on_batch else 0
        self.decoder = NETWORKS[settings.network][1](
            n_s + n_z + n_batch, settings.n_channels, settings.base_width, settings.input_size_px
        )
        self.prior_s = _prior_means(settings, n_s) if settings.prior_s_per_label else None
        self.prior_z = _prior_means(settings, n_z) if settings.prior_z_per_label else None
        self.log_sigma = nn.Parameter(torch.zeros(())) if settings.sigma == "learned" else None
        self._initialise(torch.Generator().manual_seed(seed))
        self.to(memory_format=torch.channels_last)

    def _initialise(self, generator: torch.Generator) -> None:
        he_initialise(self, generator)
        if self.batch_embedding is not None:
            nn.init.normal_(self.batch_embedding.weight, generator=generator)

    def forward(
        self, images: Tensor, label: Tensor, batch: Tensor, generator: torch.Generator
    ) -> Inference:
        """Encode, sample, decode.

        Parameters
        ----------
        images
            (cell, channel, y, x), preprocessed.
        label, batch
            int64 (cell,): the gene, `NTC_LABEL` for NTC; the batch.
        generator
            Source of the latent samples.
        """
        z = self.background_encoder(images)
        z_sample = z.sample(generator)
        prior_z = _means_of(self.prior_z, label, z.mean)
        if self.salient_encoder is None:
            return Inference(z, prior_z, None, None, self.decode(None, z_sample, batch))
        s = self.salient_encoder(images)
        s_sample = s.sample(generator).masked_fill((label == NTC_LABEL)[:, None], 0.0)
        prior_s = _means_of(self.prior_s, label, s.mean)
        return Inference(z, prior_z, s, prior_s, self.decode(s_sample, z_sample, batch))

    def decode(self, s: Tensor | None, z: Tensor, batch: Tensor) -> Tensor:
        """Return images (cell, channel, y, x) in [-1, 1] of latent vectors (cell, latent)."""
        parts = [z] if s is None else [s, z]
        if self.batch_embedding is not None:
            parts.append(self.batch_embedding(batch))
        return self.decoder(torch.cat(parts, dim=1))

    def embed(self, images: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the posterior means of s (None in a plain VAE) and z, (cell, latent) each."""
        s = None if self.salient_encoder is None else self.salient_encoder(images).mean
        return s, self.background_encoder(images).mean


def _prior_means(settings: FamilySettings, n_latent: int) -> nn.Embedding:
    # The padding row never receives a gradient: NTC starts at 0 and stays there.
    means = nn.Embedding(settings.n_labels, n_latent, padding_idx=NTC_LABEL)
    nn.init.zeros_(means.weight)
    return means


def _means_of(prior: nn.Embedding | None, label: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if prior is None else prior(label)
