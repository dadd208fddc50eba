"""One function per panel of the figures, one style, one way of saving."""
