"""
An archived screen: from the archive's files to profiles.
"""


include: "archive.smk"
include: "tiles.smk"
include: "shards.smk"
include: "splits.smk"
include: "models.smk"
include: "embeddings.smk"
include: "baselines.smk"
include: "profiles.smk"
include: "ops_standard.smk"


if MASKS:

    include: "masks.smk"


if OUTLINES is not None:

    include: "outlines.smk"


if ON_IMAGES is not None:

    include: "cells_on_images.smk"
