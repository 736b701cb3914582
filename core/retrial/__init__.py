"""What operators want done when jobs fail: rules, classes of errors, and what they did (domain.md 15).

Knows tables of jobs, tasks and rules; knows neither the task engine nor the task buffer, which call it.
"""
