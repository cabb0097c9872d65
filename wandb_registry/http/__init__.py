"""HTTP endpoints for the SDK, and what all requests pass: authentication, limits and security headers."""
