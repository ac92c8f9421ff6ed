"""CDS Hooks on the wire: requests, contexts of the hooks, replies, discovery, feedback."""
