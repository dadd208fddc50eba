"""Entry point of a rank: torchrun starts ``python -m mcvae_ops.training.rank ARGUMENTS.json``."""

import json
import logging
import os
import sys
from pathlib import Path

import torch

from mcvae_ops.training.train import train_model

if __name__ == "__main__":
    rank = int(os.environ["RANK"])
    log_level = logging.INFO if rank == 0 else logging.WARNING
    logging.basicConfig(
        level=log_level, format=f"rank {rank}, %(levelname)s %(name)s: %(message)s", force=True
    )
    arguments = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(max(1, arguments["threads"] // int(os.environ["LOCAL_WORLD_SIZE"])))
    train_model(**arguments)
