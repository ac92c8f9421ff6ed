"""Commands of the terminal: serve, check, evaluate, explain, export, report."""
