"""Make the staging table the current one. One transaction: if anything fails, the old one stays."""

import os

import psycopg

with psycopg.connect(os.environ["HERD_CONNECTION_WAREHOUSE_URL"]) as database:
    # Whoever reads it at this moment is waited for, but not for ever: then the run fails and is tried again.
    database.execute("SET LOCAL lock_timeout = '60s'")
    database.execute("DROP TABLE IF EXISTS sales")
    database.execute("ALTER TABLE sales_staging RENAME TO sales")
print("swapped")
