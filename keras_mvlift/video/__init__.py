"""Videos in, people's 2D joints and small pictures out; needs the extra `video`."""
