"""Facts to decisions, and decisions to an explanation clause by clause."""
