"""Benchmarks: side by side in one run, ratios and not milliseconds are held to a bar. ``make bench`` runs them."""
