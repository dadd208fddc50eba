"""Fig. 4B, 4C: functional groups predicted from profiles."""
