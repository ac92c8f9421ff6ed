"""What outlives a call: the log of feedback, in a database."""
