"""What is left of a network without the channels that its gates find unimportant."""
