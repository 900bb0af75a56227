"""Real chat clients against the real program, whose upstream follows a script."""
