"""Where modules go in other people's models, and how these are rebuilt around them."""
