"""Notices of incidents to people elsewhere: routes, an outbox, messages, channels. Knows no rule and no verdict's making."""
