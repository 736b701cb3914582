"""The cache: files that clients upload and jobs fetch, logs of tasks, checkpoints. On a local disk, listed in the database."""
