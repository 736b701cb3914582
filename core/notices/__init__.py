"""Tells the owners of tasks that these have ended, at most once per end. Knows no job and changes no task's status."""
