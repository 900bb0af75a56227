"""Small servers that the benchmark starts, each as a process of its own."""
