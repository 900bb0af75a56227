"""Trust in what servers say of their tools: pinned at first sight, looked through for traps, held back."""
