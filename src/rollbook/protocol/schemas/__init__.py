"""The core schemas as data: RFC 7643 §8.7 with the errata, descriptions in our words."""
