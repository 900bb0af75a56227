"""Measures the hub against what it stands between, in one run, as ratios: `make bench`."""
