"""Optical pooled screens, from archive accession to benchmark figures."""

__version__ = "0.1.0"


def __getattr__(name: str):
    # Imported on demand, so that planning a run does not wait for PyTorch.
    if name == "load":
        from mcvae_ops.models.trained_model import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
