"""The layers with weights of a network, in the order in which they run."""

from dataclasses import dataclass

import torch
from torch import nn

from mcvae_ops.models.family import ContrastiveVAE, Encoder, FamilySettings
from mcvae_ops.models.networks import n_parameters

WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
RESHAPING = ("Flatten", "Unflatten")


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes
    ----------
    kind
        Name of its class.
    shape
        Shape of its output for one cell.
    n_parameters
        Number of parameters, including those of normalisations that follow it.
    followed_by
        Names of the normalisations and activations that follow it.
    """

    kind: str
    shape: tuple[int, ...]
    n_parameters: int
    followed_by: str


def build_model(settings: dict, name: str) -> ContrastiveVAE:
    """Build a configured model with initial weights.

    Parameters
    ----------
    settings
        The sections ``screen``, ``models`` and ``training`` of the configuration.
    name
        A key of ``models``.
    """
    entry = settings["models"][name]
    training = {**settings["training"], **entry["training"]}
    family = FamilySettings(
        network=training["network"],
        base_width=training["base_width"],
        input_size_px=training["input_size_px"],
        n_channels=len(settings["screen"]["channels"]),
        salient_latent=entry["salient_latent"],
        background_latent=entry["background_latent"],
        technical_latent=training["technical_latent"],
        prior_s_per_label=entry["prior_s_per_label"],
        prior_z_per_label=entry["prior_z_per_label"],
        label_head=training["label_weight"] > 0,
        condition_on_batch=training["condition_on_batch"],
        sigma=training["sigma"],
        n_labels=2,
        n_batches=sum(len(wells) for wells in settings["screen"]["plates"].values()),
    )
    return ContrastiveVAE(family, seed=0)


def encoder_layers(encoder: Encoder, settings: FamilySettings) -> list[Layer]:
    """Return the layers of an encoder, its linear heads last."""
    images = torch.zeros(1, settings.n_channels, settings.input_size_px, settings.input_size_px)
    return layers_of(encoder, images)


def decoder_layers(model: ContrastiveVAE) -> list[Layer]:
    """Return the layers of the decoder."""
    return layers_of(model.decoder, torch.zeros(1, model.decoder[0].in_features))


def layers_of(module: nn.Module, example: torch.Tensor) -> list[Layer]:
    """Return the layers with weights of a network, in the order in which they run.

    Parameters
    ----------
    module
        The network.
    example
        Its input for one cell.

    Returns
    -------
    Layers, with the normalisations and activations that follow each; parameters of these count to
    the layer.
    """
    ran: list[tuple[nn.Module, tuple[int, ...]]] = []
    leaves = [child for child in module.modules() if not list(child.children())]
    hooks = [
        leaf.register_forward_hook(lambda leaf, _, out: ran.append((leaf, tuple(out.shape[1:]))))
        for leaf in leaves
    ]
    with torch.no_grad():
        module(example)
    for hook in hooks:
        hook.remove()
    starts = [i for i, (leaf, _) in enumerate(ran) if isinstance(leaf, WEIGHTED)]
    layers = []
    for start, stop in zip(starts, [*starts[1:], len(ran)], strict=True):
        leaf, shape = ran[start]
        after = [type(other).__name__ for other, _ in ran[start + 1 : stop]]
        names = " ".join(name for name in after if name not in RESHAPING)
        size = sum(n_parameters(other) for other, _ in ran[start:stop])
        layers.append(Layer(type(leaf).__name__, shape, size, names))
    return layers
