"""The task buffer: jobs enter, are looked up, move, are killed and end here."""
