"""What pages are made of. A component is a function from plain values to Dash components; it asks the API nothing.

Text from jobs, logs and users goes into `children` only, which the browser treats as text, never as markup.
"""
