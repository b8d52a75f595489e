"""What a network costs: parameters, operations and memory traffic."""
