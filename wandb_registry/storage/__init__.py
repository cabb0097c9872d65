"""Contents on disk by their md5: taken in, checked, shared and read."""
