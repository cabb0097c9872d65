"""Where everything of a drawing lies: pure geometry by the standard library, for pages and for reports."""
