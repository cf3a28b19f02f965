"""Measurements: ratios to a peer run side by side, on a filled log, with the answers checked.

``make bench``, or ``python -m bench [name…] [--quick] [--save]``; docs/reference/benchmarks.md.
"""
