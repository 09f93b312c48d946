"""A seeded fleet of legacy Fuel master nodes that sends its statistics over HTTP, and what it knows to be true."""
