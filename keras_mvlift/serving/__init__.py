"""Trained models behind TensorFlow Serving: clients, warm-up requests, versions by label."""
