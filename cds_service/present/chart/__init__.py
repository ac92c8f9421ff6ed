"""Trends of one patient's results and exposures."""
