"""
An archived screen: from the archive's files to profiles.
"""


include: "archive.smk"
include: "tiles.smk" if FROM_IMAGES else "given_crops.smk"
include: "shards.smk"
include: "models.smk"
include: "embeddings.smk"
include: "profiles.smk"


if ON_IMAGES is not None:

    include: "cells_on_images.smk"
