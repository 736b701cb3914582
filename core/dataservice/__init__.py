"""Data: what exists (catalogue), whether it is where it is needed (activation), and what jobs made (adder)."""
