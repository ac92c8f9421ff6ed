"""The knowledge written out for people and programs that do not call the service."""
