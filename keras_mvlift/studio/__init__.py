"""Made-up people, filmed by made-up cameras."""
