"""The demonstration: real files through a real stack, checked against a direct computation, and three real failures."""
