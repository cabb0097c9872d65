"""Where records and bytes lie, and what befalls them."""
