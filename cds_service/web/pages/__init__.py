"""Pages to read: rule catalogue and usage report."""
