"""Snakemake finds the terminal of mcvae-ops by the name of this package: --logger mcvae-ops."""

from mcvae_ops.workflow.terminal import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
