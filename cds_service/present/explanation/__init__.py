"""Why each card of one patient did or did not appear."""
