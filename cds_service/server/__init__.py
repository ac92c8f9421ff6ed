"""Starting, reloading and probing the server process."""
