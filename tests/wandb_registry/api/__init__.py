"""What any client meets: names, limits, addresses, pages, the schema; the SDK's walkthrough and older SDKs."""
