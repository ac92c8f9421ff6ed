"""The rule catalogue, made from the knowledge alone."""
