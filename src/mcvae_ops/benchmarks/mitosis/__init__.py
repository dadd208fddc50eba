"""Fig. 5: mitotic factors and the background norm."""
