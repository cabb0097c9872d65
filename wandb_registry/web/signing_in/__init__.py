"""Signing in and out on the pages: by a key or a one-time address (`session`), or at a provider (`openid`)."""
