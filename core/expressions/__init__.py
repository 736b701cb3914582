"""Regular expressions that people write, as languages: what can be said of them without a text. Knows no table."""
