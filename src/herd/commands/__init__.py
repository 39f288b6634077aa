"""The commands, one function each: they parse arguments, call the other rooms, and print."""
