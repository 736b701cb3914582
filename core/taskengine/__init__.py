"""The task engine: what becomes of a task between its submission and its end. Knows no HTTP.

`dialects` reads what users submit, `making` turns the input into jobs, `commands` are given to tasks that exist, `questions`
are asked about them. Here are the ways in (`submit`, `parents`) and what all share (`status`).
"""
