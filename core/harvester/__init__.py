"""Harvester's side of the server: its instances, their workers, what they say and what they are told (domain.md 8)."""
