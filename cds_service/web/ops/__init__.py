"""What happens around every call: limits, metrics, tracing, recording."""
