"""Whom we trust: the clients that may call us, and the servers that we may call."""
