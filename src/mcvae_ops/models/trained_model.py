"""A trained model, read from its file: embed, reconstruct and alter cells in a few lines.

>>> model = mcvae_ops.load("results/simulated/models/mcvae/0/weights.pt")
>>> latent = model.embed(crops)                                  # {"s": ..., "z": ...}
>>> altered = model.counterfactual(controls, latent["s"].mean(axis=0))
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mcvae_ops.errors import InputError
from mcvae_ops.models.family import ContrastiveVAE, FamilySettings
from mcvae_ops.models.preprocess import PERCENTILES, Preprocessing, batch_scale
from mcvae_ops.models.safetensors_files import read_safetensors
from mcvae_ops.torch_files import load_torch
from mcvae_ops.weights_header import SAFETENSORS, unreadable

CELLS_AT_A_TIME = 1024


@dataclass(frozen=True)
class TrainedModel:
    """A member of the model family with its weights.

    Attributes
    ----------
    network
        The model, in evaluation mode.
    preprocessing
        From counts to the input of the network, and back.
    name, seed
        Name in the configuration, and seed of the training.
    channels
        Channels of the crops, in order.
    labels, batches
        Names of the labels (NTC first, then genes) and of the batches (see `screen.batch` of the
        configuration) of the training: the rows of the prior means, of the batch embedding and of
        the scales.
    crop
        ``size_px`` and ``pixel_size_um`` (None if not known) of the crops of the training.
    settings
        Settings of the training.
    origin
        Of a model that another run has trained its model, seed and the ``sha256`` of its file;
        None of others.
    """

    network: ContrastiveVAE
    preprocessing: Preprocessing
    name: str
    seed: int
    channels: list[str]
    labels: list[str]
    batches: list[str]
    crop: dict
    settings: dict
    origin: dict | None

    def embed(
        self,
        crops: np.ndarray,
        channels: Sequence[str] | None = None,
        batch: str | Sequence[str] | None = None,
    ) -> dict[str, np.ndarray]:
        """Return the posterior means of cells, float32 (cell, latent) by space: s, z, t.

        Parameters
        ----------
        crops
            uint16 (cell, channel, y, x), counts. They show as much of the sample as the crops of
            the training; the number of pixels may differ.
        channels
            Names of their channels, if these differ from `channels` of the model or its order.
        batch
            Batch of all cells, or of each; needed by a model that normalises batches. Batches that
            the training did not see are made known by `with_controls`.

        Raises
        ------
        InputError
            If a channel or a batch is missing, or the crops have another shape.
        """
        with torch.no_grad():
            parts = [
                self.network.embed(images) for images, _ in self._inputs(crops, channels, batch)
            ]
        return {
            space: torch.cat([part[space] for part in parts]).cpu().numpy()
            for space in self.network.settings.latent()
        }

    def reconstruct(
        self,
        crops: np.ndarray,
        channels: Sequence[str] | None = None,
        batch: str | Sequence[str] | None = None,
    ) -> np.ndarray:
        """Return cells decoded from their posterior means, in counts.

        Parameters are those of `embed`.

        Returns
        -------
        float32 (cell, channel, y, x) with the model's channels, at the size of its input.
        """
        return self._decoded(crops, channels, batch, None)

    def counterfactual(
        self,
        crops: np.ndarray,
        s: np.ndarray,
        channels: Sequence[str] | None = None,
        batch: str | Sequence[str] | None = None,
    ) -> np.ndarray:
        """Return what cells would look like with another salient state: own z, given s, in counts.

        Parameters
        ----------
        crops, channels, batch
            As for `embed`; for example control cells.
        s
            (latent,) or (cell, latent): for example the mean of the cells of a gene; 0 is the state
            of control cells.

        Returns
        -------
        float32 (cell, channel, y, x) with the model's channels, at the size of its input.

        Raises
        ------
        InputError
            As for `embed`, or if the model has no salient space of that many dimensions.
        """
        size = self.network.settings.salient_latent
        shape = (len(crops), size)
        s = np.asarray(s, np.float32)
        if not size or s.shape not in (shape, shape[1:]):
            raise InputError(
                where=f"model {self.name}, salient state s",
                found=f"shape {s.shape}",
                expected=f"{shape[1:]} or {shape}" if size else "none: the model has no s",
                fix="take s of `embed` of this model",
            )
        given = torch.from_numpy(np.broadcast_to(s, shape).copy()).to(self.device)
        return self._decoded(crops, channels, batch, given)

    def with_controls(self, controls: Mapping[str, np.ndarray]) -> "TrainedModel":
        """Return the model for other batches, each normalised by control cells of its own.

        Parameters
        ----------
        controls
            Crops of control cells by batch, uint16 (cell, channel, y, x), with the model's
            channels. They come to the scale on which the model was trained.

        Raises
        ------
        InputError
            If the decoder depends on the batch, whose embedding an unknown batch does not have.
        """
        percentiles = [
            np.percentile(crops, PERCENTILES, axis=(0, 2, 3)) for crops in controls.values()
        ]
        lowest, highest = torch.from_numpy(np.stack(percentiles, axis=1).astype(np.float32))
        return self.levelled([*controls], lowest, highest)

    def levelled(self, batches: list[str], lowest: Tensor, highest: Tensor) -> "TrainedModel":
        """Return the model for other batches, from the intensities of their control cells.

        Parameters
        ----------
        batches
            Names of the batches.
        lowest, highest
            (batch, channel): the two `PERCENTILES` of the counts of their control cells.

        Raises
        ------
        InputError
            As for `with_controls`.
        """
        if self.network.settings.condition_on_batch:
            raise InputError(
                where=f"model {self.name}",
                found="a decoder that is conditioned on the batches of its training",
                expected="a decoder without batches",
                fix="train a model with training.condition_on_batch: false",
            )
        if self.preprocessing.gain is None:
            return replace(self, batches=batches)
        counts = (lowest.to(self.device), highest.to(self.device))
        gain, shift, reference = batch_scale(*counts, self.preprocessing.reference_counts)
        scales = {"gain": gain, "shift_counts": shift, "reference_counts": reference}
        preprocessing = replace(self.preprocessing, **scales)
        return replace(self, preprocessing=preprocessing, batches=batches)

    @property
    def device(self) -> torch.device:
        """Device on which the model computes."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def _decoded(
        self,
        crops: np.ndarray,
        channels: Sequence[str] | None,
        batch: str | Sequence[str] | None,
        s: Tensor | None,
    ) -> np.ndarray:
        """Return cells decoded from their posterior means, or from a given s (cell, latent)."""
        parts, first = [], 0
        for images, number in self._inputs(crops, channels, batch):
            latent = self.network.embed(images)
            if s is not None:
                latent["s"] = s[first : first + len(images)]
            decoded = self.network.decode(latent, number)
            parts.append(self.preprocessing.to_counts(decoded.float(), number).cpu().numpy())
            first += len(images)
        return np.concatenate(parts)

    def _inputs(
        self, crops: np.ndarray, channels: Sequence[str] | None, batch: str | Sequence[str] | None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the input of the network and the number of the batch of some cells."""
        order = self._order(crops, channels)
        number = self._numbers(len(crops), batch)
        for first in range(0, len(crops), CELLS_AT_A_TIME):
            some = slice(first, first + CELLS_AT_A_TIME)
            counts = torch.from_numpy(np.ascontiguousarray(crops[some][:, order])).to(self.device)
            batches = torch.from_numpy(number[some]).to(self.device)
            yield self.preprocessing(counts, batches), batches

    def _order(self, crops: np.ndarray, channels: Sequence[str] | None) -> list[int]:
        names = self.channels if channels is None else list(channels)
        if crops.ndim != 4 or crops.shape[1] != len(names):
            raise InputError(
                where=f"model {self.name}, crops",
                found=f"shape {crops.shape}",
                expected=f"(cell, {len(names)} channels, y, x)",
                fix="name the channels of the crops, or bring their axes into this order",
            )
        absent = [name for name in self.channels if name not in names]
        if absent:
            raise InputError.missing(
                where=f"model {self.name}, crops",
                what=f"channel {absent[0]}",
                why=f"the model was trained with {', '.join(self.channels)}",
                fix=f"correct channels ({', '.join(names)})",
            )
        return [names.index(name) for name in self.channels]

    def _numbers(self, n_cells: int, batch: str | Sequence[str] | None) -> np.ndarray:
        """Return the number of the batch of each cell; 0 if the model does not depend on it."""
        depends = self.preprocessing.gain is not None or self.network.settings.condition_on_batch
        if not depends:
            return np.zeros(n_cells, np.int64)
        names = [batch] * n_cells if batch is None or isinstance(batch, str) else list(batch)
        number = {name: k for k, name in enumerate(self.batches)}
        unknown = [name for name in names if name not in number]
        if unknown:
            raise InputError(
                where=f"model {self.name}, batch",
                found="none" if unknown[0] is None else repr(unknown[0]),
                expected=f"one of {', '.join(self.batches)}, because the model depends on it",
                fix="name the batch of the cells, or give control cells of it to `with_controls`",
            )
        return np.array([number[name] for name in names], np.int64)


def load(path: str | Path, device: str = "cpu") -> TrainedModel:
    """Read a trained model.

    Parameters
    ----------
    path
        ``weights.pt`` of a training, or ``weights.safetensors`` (which needs the package
        safetensors).
    device
        "cpu" or "cuda".

    Raises
    ------
    InputError
        If the file is not one of weights, or damaged.
    """
    try:
        is_export = Path(path).suffix == SAFETENSORS
        content = read_safetensors(path, device) if is_export else load_torch(path, device)
        network = ContrastiveVAE(FamilySettings(**content["family"]), content["seed"])
        network.load_state_dict(content["state"])
        names = ("channels", "labels", "batches", "crop", "settings", "origin")
        return TrainedModel(
            network.to(device).eval(),
            Preprocessing(**content["preprocessing"]),
            content["model"],
            content["seed"],
            **{name: content[name] for name in names},
        )
    except InputError:
        raise
    except (RuntimeError, OSError, ValueError, LookupError, TypeError) as error:
        raise unreadable(path, error) from None


def content_of(model: TrainedModel) -> dict:
    """Return what the file of a model holds; `load` reads it."""
    names = ("seed", "channels", "labels", "batches", "crop", "settings", "origin")
    return {name: getattr(model, name) for name in names} | {
        "model": model.name,
        "family": asdict(model.network.settings),
        "preprocessing": asdict(model.preprocessing),
        "state": dict(model.network.state_dict()),
    }
