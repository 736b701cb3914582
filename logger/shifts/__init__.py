"""The shift log: who has the watch, what they note, and a handover that is drafted from what was done and signed by both."""
