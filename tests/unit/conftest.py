"""What tests of units share."""

from hypothesis import settings

# A busy machine may halt any example for longer than the 200 ms that hypothesis allows.
settings.register_profile("unhurried", parent=settings(), deadline=None)
settings.load_profile("unhurried")
