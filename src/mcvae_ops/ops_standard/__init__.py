"""A run as a collection of the OPS Data Standard 0.1.0, and back.

https://github.com/chanzuckerberg/ops-schema, folder ``standards/ops/0.1.0`` (draft). What the
standard leaves open, and what is not written, is in docs/ops_standard.md.
"""

SCHEMA_VERSION = "0.1.0"
