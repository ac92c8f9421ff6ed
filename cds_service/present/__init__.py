"""Text and pictures that people read, made from the knowledge, evaluations and stored calls."""
