"""From an address to the configuration of a screen, with the reason of every value."""
