"""Who is calling: client profiles, tokens, keys, SMART sessions."""
