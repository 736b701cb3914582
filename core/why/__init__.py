"""Why is my job not running? Statements in order, each with its numbers (domain.md 5.5). Knows no HTTP and no page."""
