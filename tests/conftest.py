"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says nothing of whether a law holds: machines are busy, and time is the benchmarks'.
settings.register_profile("logscan", deadline=None)
settings.load_profile("logscan")
