"""The data carousel at work: chooses places, gives turns, brings files, and deletes the copies again (domain.md 4.9)."""
