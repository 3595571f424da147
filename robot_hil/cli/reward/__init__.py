"""`robot-hil reward`: success told from images: collect frames, train, check, label."""
