"""What users submit, in PanDA's dictionary or in ours, and the definition of a task it is read into. Knows no table."""
