"""Optical pooled screens, from archive accession to benchmark figures."""

__version__ = "0.1.0"


def __getattr__(name: str):
    # Imported on demand, so that planning a run does not wait for PyTorch or pandas.
    if name == "load":
        from mcvae_ops.models.trained_model import load

        return load
    if name == "open":
        from mcvae_ops.results.opened import Results

        return Results
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
