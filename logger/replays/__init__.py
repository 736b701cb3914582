"""What each sort of rule would have made of the stored past: failed jobs, log records, measurements. Knows no sentence."""
