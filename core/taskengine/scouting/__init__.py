"""The first jobs of a task measure what the others need (domain.md 3.5)."""
