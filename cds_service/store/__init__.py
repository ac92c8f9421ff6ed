"""What outlives a call, in one database: feedback, which tokens were used, what was called and shown."""
