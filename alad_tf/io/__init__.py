"""Files: atomic writes, locks, manifests, archives with size limits, model folders."""
