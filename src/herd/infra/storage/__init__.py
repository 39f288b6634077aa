"""Where data lies: buckets, the report site, keys, secrets, and what was made elsewhere."""
