"""Tiles: read, project, align, clip, crop."""
