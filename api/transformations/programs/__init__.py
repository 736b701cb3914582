"""What the transformations are made of. Standard library and each other only: they travel to worker nodes in one file."""
