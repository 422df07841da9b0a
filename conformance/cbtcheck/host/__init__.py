"""The machine that the suite runs on: files, directories, processes, memory, terminals."""
