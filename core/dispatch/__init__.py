"""The pilots' side of the house: take a job, report on it."""
