"""What daemon and client share: models, wire codec, errors, paths, config. Nothing else crosses."""
