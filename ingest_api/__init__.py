"""The collector: takes what Fuel master nodes send, and loses none of it."""
