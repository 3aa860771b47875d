"""Benchmarks: ratios of A to B, interleaved in one run. `make bench` runs them all; one alone: `python -m benchmarks.NAME --help`."""
