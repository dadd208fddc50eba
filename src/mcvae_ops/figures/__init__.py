"""Panels of the figures: one function per panel, one style, one way to save them."""
