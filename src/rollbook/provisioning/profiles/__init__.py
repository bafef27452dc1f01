"""What well-known applications can do and cannot, one file each: data, read by `provisioning.profile`."""
