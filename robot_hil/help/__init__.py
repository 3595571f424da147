"""Ways for a person to help a robot that learns: what is worth showing, when to call, where to begin."""
