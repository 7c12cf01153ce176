"""Benchmarks of the hot paths against minimal baselines; `make bench` runs them."""
