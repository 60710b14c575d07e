"""Where cameras stand and look, found from the people they see."""
