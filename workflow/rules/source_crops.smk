"""
Crops that others cut: from a table of cells, which says where the crop of each is, to profiles.
"""


include: "archive.smk"
include: "given_crops.smk"
include: "shards.smk"
include: "splits.smk"
include: "models.smk"
include: "embeddings.smk"
include: "baselines.smk"
include: "profiles.smk"
