"""What runs a function's handler: a file for each language, started as a process of its own."""
