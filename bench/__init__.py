"""Benchmarks with their baseline in the same run. `python -m bench --help`."""
