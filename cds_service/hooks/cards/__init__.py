"""Decisions to cards: texts, suggestions, and the card that names what could not be read."""
