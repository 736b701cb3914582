"""The read side: what the monitors ask. Reads tables, changes nothing, knows no HTTP."""
