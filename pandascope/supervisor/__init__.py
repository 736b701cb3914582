"""Keeps the processes of one installation alive: PostgreSQL, API workers, agents, the local site."""
