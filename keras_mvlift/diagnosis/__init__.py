"""What is right and wrong with a rig, told from its clips before anyone trains."""
