"""Benchmarks: ratios of A to B, alternating in one run. `make bench` runs them all; nothing else depends on a clock."""
