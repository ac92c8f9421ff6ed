"""The usage report of the service."""
