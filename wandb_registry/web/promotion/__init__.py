"""A second person's yes in the pages: the request with all that the decision rests on, and the forms that decide."""
