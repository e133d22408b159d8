"""Settings that hold for every test."""

from hypothesis import settings

# On a machine that does other work too, one example may take long for no fault of ours.
settings.register_profile("q", deadline=None)
settings.load_profile("q")
