# SPDX-License-Identifier: GPL-3.0-or-later
"""Show that a new host reaches its database: connect, say what answered, and once more after a while."""

import os
import sys
import time

import psycopg2


def connected(url):
    """Connect once, and return what the server says it is."""
    connection = psycopg2.connect(url, connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database(), split_part(version(), ' ', 2)")
            return "connected to the database {} of PostgreSQL {}".format(*cursor.fetchone())
    finally:
        connection.close()


def main():
    """Do it until the service is stopped; a database that is away is no reason to end."""
    url, seconds = os.environ["DATABASE_URL"], float(os.environ["EVERY_SECONDS"])
    while True:
        try:
            print(connected(url), flush=True)
        except psycopg2.OperationalError as exc:
            print(f"not connected: {str(exc).strip().splitlines()[0]}", file=sys.stderr, flush=True)
        time.sleep(seconds)


if __name__ == "__main__":
    main()
