"""Write the sales into a staging table, which nobody reads. A second time makes it anew."""

import csv
import os

import psycopg

with (
    open(os.environ["HERD_PARAM_SOURCE"], newline="") as file,
    psycopg.connect(os.environ["HERD_CONNECTION_WAREHOUSE_URL"]) as database,
):
    database.execute("DROP TABLE IF EXISTS sales_staging")
    database.execute("CREATE TABLE sales_staging (id integer, day date, shop text, amount numeric(10, 2))")
    rows = 0
    with database.cursor().copy("COPY sales_staging (id, day, shop, amount) FROM STDIN") as copy:
        for sale in csv.DictReader(file):
            copy.write_row((sale["id"], sale["day"], sale["shop"], sale["amount"] or None))
            rows += 1
    database.execute("CREATE INDEX ON sales_staging (day)")
print(f"staged {rows} sales")
