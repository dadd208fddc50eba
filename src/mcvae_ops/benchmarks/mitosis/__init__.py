"""Fig. 5: mitotic factors and the relative background norm."""
