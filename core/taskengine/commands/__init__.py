"""What is done to tasks that exist: which command is accepted when, and what it does."""
