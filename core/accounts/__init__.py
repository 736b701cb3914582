"""Users and working groups as consumers: limits, priorities, admission, held jobs, what they used (domain.md 6.2)."""
