"""The paper's experiments and ours: what is compared, on which data, and how it is measured."""
