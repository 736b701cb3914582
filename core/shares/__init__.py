"""Global shares (domain.md 6.1): who gets how much of what runs. Knows the tree, the jobs' use of it, no HTTP."""
