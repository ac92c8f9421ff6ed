"""Draft orders that suggestions propose."""
