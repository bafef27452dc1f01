"""The protocol operations of RFC 7644 §3: read, decide, write."""
