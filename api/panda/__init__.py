"""PanDA's own protocol: one module here per module there."""
