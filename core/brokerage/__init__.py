"""Chooses the queue for jobs: criteria in order, then weight; every step is kept so that people can read it."""
