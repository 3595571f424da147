"""Success told from images: labelled frames on disk, classifiers, and a critic of progress."""
