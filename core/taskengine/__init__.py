"""The task engine: what becomes of a task between its submission and its end. Knows no HTTP."""
