"""Put a bundle into an app: find where it loads bundles from, place it there, and pin the runtimes that it needs."""
