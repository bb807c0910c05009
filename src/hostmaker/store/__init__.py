"""Keeps what must outlive the process: SQLite, one writer, values as JSON beside the columns that find them."""
