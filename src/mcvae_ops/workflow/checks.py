"""Checks across the keys of a configuration that fits its schema, in their order."""

from mcvae_ops.workflow.cell_checks import check_cells, check_given_crops, check_outlines
from mcvae_ops.workflow.figure_checks import check_groups, check_panels, check_pictures
from mcvae_ops.workflow.model_checks import (
    check_embeddings,
    check_encoders,
    check_models,
    check_shortcuts,
    check_split,
    check_stored_models,
)
from mcvae_ops.workflow.screen_checks import check_chain, check_channels, check_images, check_tiles
from mcvae_ops.workflow.source_checks import (
    check_library,
    check_lists,
    check_places,
    check_source,
    check_tables,
)

CHECKS = (
    check_given_crops,
    check_channels,
    check_chain,
    check_tiles,
    check_images,
    check_split,
    check_models,
    check_stored_models,
    check_source,
    check_embeddings,
    check_shortcuts,
    check_encoders,
    check_cells,
    check_outlines,
    check_places,
    check_lists,
    check_tables,
    check_library,
    check_groups,
    check_pictures,
    check_panels,
)
