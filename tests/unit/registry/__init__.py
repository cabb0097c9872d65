"""The registry's pure logic."""
