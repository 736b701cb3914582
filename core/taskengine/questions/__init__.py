"""What is asked about tasks. Reads only."""
