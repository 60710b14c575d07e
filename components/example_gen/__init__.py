"""Recordings to TFRecords of view pairs and of test views."""
