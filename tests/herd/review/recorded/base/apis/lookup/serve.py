print("lookups")
