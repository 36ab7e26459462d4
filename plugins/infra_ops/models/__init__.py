"""Plain data that the other layers hand to each other. No input or output here."""
