"""Task brokerage: at which storage endpoint the outputs of a whole production task are collected (domain.md 5.1)."""
