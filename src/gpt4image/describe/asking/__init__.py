"""What is missing and what came of asking: wants, replies, records, tallies, costs, stop rules."""
