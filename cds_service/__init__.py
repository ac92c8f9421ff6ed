"""Decision support over CDS Hooks for vitamin B12 deficiency and vitamin K meeting a vitamin K antagonist."""

__version__ = "0.1.0"
