"""`herd up`, `herd down`, `herd verify` and `herd bootstrap`: deploy and remove stacks, and check what is left."""
