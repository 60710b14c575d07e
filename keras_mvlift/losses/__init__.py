"""The paper's losses, one equation a module, per example and summed over the joints."""
