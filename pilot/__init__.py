"""The agent on a worker node, and the factory that starts such agents. Talks HTTP to the server and knows no more of it."""
