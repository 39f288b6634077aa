"""The agent: it looks at what the API's clients declared and makes it true."""
