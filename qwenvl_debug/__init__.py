"""The Python door: everything a notebook or script needs, from one import."""
