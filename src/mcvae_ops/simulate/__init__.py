"""A screen with planted truth, written in the layout of the real archive."""
