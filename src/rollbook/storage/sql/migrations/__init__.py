"""Revisions of the database, numbered; never edited once released."""
