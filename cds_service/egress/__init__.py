"""Outbound connections: allowed addresses, pinned connections, circuit breaker."""
