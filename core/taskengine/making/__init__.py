"""From the input of a task to its jobs: files looked up, cut into pieces, a job made of each. Knows no command."""
