"""The archive: what it holds, and how files and tables come from it."""
