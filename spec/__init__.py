"""The specification as data: what RFC 7643, 7644 and 9865 ask of a server, row by row, and which test shows each."""
